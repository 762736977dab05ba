"""Plain command lines mean without Cyclopts what they mean with it."""

import inspect
import os
import subprocess
import sys
from enum import Enum, Flag
from pathlib import Path
from types import FunctionType
from typing import Annotated, Literal, get_args, get_origin

import pytest
from attrs import frozen
from cyclopts import App, CycloptsError, Parameter
from hypothesis import given, settings, strategies as st
from pydicom.data import get_testdata_file

from pacs_core.api.file_commands import CommandGroup, JobsOption, Option, OptionGroup
from pacs_core.cli.cyclopts_commands import join_lines, to_cyclopts
from pacs_core.cli.file_commands import GROUP
from pacs_core.cli.kernel_commands import KERNEL_COMMANDS
from pacs_core.cli.option import import_target
from pacs_core.cli.plain_lines import NotPlainError, read_plain_line
from pacs_core.entry_points import find_entry_points


def find_own_functions():
    """Return all commands of the kernel, by name."""
    return {
        name: command
        for name, (target, _) in KERNEL_COMMANDS.items()
        if isinstance(command := import_target(f"pacs_core.cli.commands.{target}"), FunctionType)
    }


def find_functions():
    """Return all commands for files that are installed, by name."""
    found = {}
    for point in find_entry_points(GROUP):
        command = point.load()
        if isinstance(command, CommandGroup):
            for name, target in command.commands.items():
                found[f"{point.name} {name}"] = import_target(target)
        else:
            found[point.name] = command
    return dict(sorted(found.items()))


class Colour(Enum):
    RED = "r"
    LIGHT_BLUE = "b"
    dark = "d"


class Rights(Flag):
    READ = 1
    WRITE = 2


@OptionGroup("Shared")
@frozen(kw_only=True)
class Shared:
    """Options of several commands.

    Attributes
    ----------
    lot : list of int, optional
        Numbers.
    plain : bool
        Without more.
    """

    lot: Annotated[list[int] | None, Option("--lot", "-l")] = None
    plain: Annotated[bool, Option()] = False


@OptionGroup()
@frozen(kw_only=True)
class More(Shared):
    """Options of some of these."""

    weight: float = 0.5


SHARED, MORE = Shared(), More(plain=True)


def all_kinds(
    first: Path,
    second: int = 0,
    /,
    *rest: Colour,
    real: float | None = None,
    text_: str = "",
    kind: Literal["one", "two"] | None = None,
    yes: bool = False,
    no: bool = True,
    maybe: bool | None = None,
    colours: list[Colour] | None = None,
    rights: Rights | None = None,
    pair: tuple[int, int] | None = None,
    either: int | str = 0,
    shared: Shared = SHARED,
    jobs: JobsOption = 0,
) -> None:
    """Do nothing."""


def derived(
    paths: list[Path], /, *, needed: str, more: More = MORE, few: Annotated[int, Option("-f")] = 1
) -> None:
    """Do nothing."""


def list_before(paths: list[Path], output: Path, /) -> None:
    """Do nothing."""


def list_last(first: Path, others: list[int] | None = None, /, *, text: str = "") -> None:
    """Do nothing."""


def rest_only(*numbers: int, flag: Annotated[bool, Option("--flag", "-F")] = False) -> None:
    """Do nothing."""


MADE_UP = (all_kinds, derived, list_before, list_last, rest_only)
COMMANDS = find_functions() | find_own_functions() | {each.__name__: each for each in MADE_UP}
WORDS = [
    "a", "b c", "a=b", "1", "007", "15", "2.5", "1.", ".5", "1e3", "1_0", "0x10", "\u0663", "-",
    "--", "-1", "-x", "", "=", "none", "Null", "[a", "[1, 2]", '["a"]', "{}", '{"a": 1}', "true",
    "no", "True", "9" * 30, "one", "two", "red", "RED", "light-blue", "LIGHT_BLUE", "light_blue",
    "dark", "read", "-h", "--help", "--version", "--no-yes", "--empty-colours", "@a", "\udce4.dcm",
    "a\nb",
]  # fmt: skip


def application(function):
    app = App(name="pacs", version_flags=[])
    app.default(to_cyclopts(function))
    return app


def read_slowly(app, line):
    """Return what Cyclopts makes of a line; None if it is wrong, or for something else."""
    try:
        command, bound, _ = app.parse_args(line, exit_on_error=False, print_error=False)
    except CycloptsError:
        return None
    return bound.arguments if command is app.default_command else None


def read_quickly(function, line):
    """Return that without Cyclopts; None if the line is not plain."""
    try:
        positional, keywords = read_plain_line(function, line)
    except NotPlainError:
        return None
    return inspect.signature(function).bind(*positional, **keywords).arguments


def options_of(app):
    """Return names, by which an option can be called, and the values that it may have."""
    for argument in app.assemble_argument_collection():
        names = [name for name in argument.names if name.startswith("-")]
        choices = values_of(argument.hint)
        for name in names:
            yield name, choices


def values_of(hint):
    """Return texts for a type: none for a flag."""
    members = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) is Literal:
        return members
    if hint is bool:
        return []
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [name.lower().replace("_", "-") for name in hint.__members__]
    if members:
        return values_of(members[0])
    return {int: ["3"], float: ["2.5"]}.get(hint, ["a", "b/c.dcm"])


def lines_of(app):
    """Return a strategy of command lines, of which many are right."""
    pieces = []
    for name, values in options_of(app):
        likely = st.sampled_from(values) if values else st.nothing()
        value = likely | likely | st.sampled_from(WORDS)
        pieces.append(st.tuples(st.just(name), value))
        pieces.append(value.map(lambda text, name=name: (f"{name}={text}",)))
        pieces.append(st.just((name,)))
    word = st.sampled_from(["a", "b.dcm", "3"]).map(lambda text: (text,))
    chunk = st.one_of(*pieces, word, word, st.sampled_from(WORDS).map(lambda text: (text,)))
    plain = st.lists(word, max_size=3)
    return st.tuples(plain, st.lists(chunk, max_size=5), plain).map(
        lambda lists: [each for chunks in lists for group in chunks for each in group]
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_line_means_the_same_without_cyclopts(name):
    function = COMMANDS[name]
    app = application(function)

    @settings(max_examples=40, deadline=None)
    @given(lines_of(app))
    def compare(line):
        quick = read_quickly(function, line)
        if quick is not None:
            slow = read_slowly(app, line)
            assert (slow, repr(slow)) == (quick, repr(quick))

    compare()


@pytest.mark.parametrize("name", find_functions())
def test_every_option_of_our_commands_can_be_on_a_plain_line(name):
    function = COMMANDS[name]
    assert isinstance(function, FunctionType)
    app = application(function)
    words = ["a"] * function.__code__.co_argcount
    needed = [name for name in function.__code__.co_varnames if is_needed(function, name)]
    options = {name: values for name, values in options_of(app) if not name.startswith("--no-")}
    must = [
        each
        for parameter in needed
        for each in (f"--{parameter.strip('_').replace('_', '-')}", "x")
    ]
    for option, values in options.items():
        rest = [] if option in must or (option == "-o" and "--output" in must) else must
        if not rest:
            rest = without(must, "--output" if option == "-o" else option)
        line = [*words, option, *values[:1], *rest]
        quick = read_quickly(function, line)
        assert quick is not None, line
        assert read_slowly(app, line) == quick


def is_needed(function, name):
    code = function.__code__
    keyword_only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return name in keyword_only and name not in (function.__kwdefaults__ or {})


def without(words, option):
    at = words.index(option) if option in words else len(words)
    return words[:at] + words[at + 2 :]


@pytest.mark.parametrize("annotation", [Parameter(), "text"])
def test_what_somebody_else_annotates_is_for_cyclopts(annotation):
    def command(path: Path, /, *, option: Annotated[int, annotation] = 1) -> None: ...

    assert read_quickly(command, ["a"]) is None
    assert read_slowly(application(command), ["a", "--option", "2"])["option"] == 2


async def asynchronous(path: Path, /) -> None:
    """Do nothing."""


def named_or_placed(path: Path) -> None:
    """Do nothing."""


def open_to_all(path: Path, /, **others: int) -> None:
    """Do nothing."""


@pytest.mark.parametrize("function", [asynchronous, named_or_placed, open_to_all, print])
def test_other_functions_are_for_cyclopts(function):
    assert read_quickly(function, ["a"]) is None


PROGRAM = """
import sys
from pacs_core.cli.main import main
code = main(sys.argv[1:])
print("cyclopts" in sys.modules, code)
print(*sys.modules, file=open(sys.argv[0], "w"))
"""


def run(*arguments, modules=os.devnull):
    command = [sys.executable, "-c", PROGRAM.replace("sys.argv[0]", repr(str(modules))), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1], done.stderr


def test_a_plain_line_needs_no_cyclopts_and_a_mistake_is_said_as_ever():
    assert run("uid", "--count", "2") == ("False 0", "")
    assert run("dicomdir", "show", "nowhere")[0] == "False 1"
    assert run("uid", "--cuont", "2") == (
        "True 2",
        "pacs: Unknown option: --cuont. Did you mean --count?\n",
    )
    assert run("serve", "--config", "nowhere.toml")[0] == "False 2"
    assert run("archive", "aside", "list", "--config", "nowhere.toml")[0] == "False 2"
    assert run("dicomdir", "shwo")[0] == "True 2"
    assert run("serve", "--port", "http")[0] == "True 2"
    assert run("archive", "aside")[0] == "True 0"
    assert run("uid", "--help")[0] == "True 0"


CT = get_testdata_file("CT_small.dcm")
NEVER = {
    "PIL", "anyio", "asyncio", "cattrs", "concurrent", "cyclopts", "hashlib", "http",
    "importlib_metadata", "json", "logging", "multiprocessing", "numpy", "pluggy", "pydicom",
    "requests", "rich", "shutil", "socket", "ssl", "tempfile", "tomllib", "urllib3", "xml",
}  # fmt: skip
LINES = [
    (["dump", CT], set()),
    (["info", CT], set()),
    (["diff", CT, CT], {"hashlib"}),
    (["json", CT, "--without-pixel-data"], {"json"}),
    (["xml", CT, "--without-pixel-data"], {"xml"}),
    (["validate", CT], {"json"}),
    (["find-files", CT], set()),
    (["modify", CT, "--set", "PatientID=1", "--dry-run"], {"hashlib"}),
    (["uid"], {"hashlib"}),
]


@pytest.mark.parametrize(("line", "more"), LINES, ids=[line[0] for line, _ in LINES])
def test_a_command_for_a_file_imports_what_it_needs_and_no_more(line, more, tmp_path):
    assert run(*line, modules=tmp_path / "modules") == ("False 0", "")
    imported = {name.partition(".")[0] for name in (tmp_path / "modules").read_text().split()}
    assert imported & NEVER <= more


def test_paragraphs_of_help_are_as_wide_as_the_terminal():
    """The lines of a docstring are those of its source, and of nothing that is read by users."""
    docstring = """Do it.

    A paragraph of
    two lines:

    - an item
    - another

    Parameters
    ----------
    one
        What it is,
        and why.

        More.
    two
        Nothing.
    """
    assert join_lines(docstring).split("\n") == [
        "Do it.", "", "A paragraph of two lines:", "", "- an item", "- another", "",
        "Parameters", "----------", "one", "    What it is, and why.", "", "    More.", "two",
        "    Nothing.",
    ]  # fmt: skip
