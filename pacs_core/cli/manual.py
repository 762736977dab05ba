"""Manual pages of commands, in the macros of man(7)."""

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pacs_core.cli import errors
from pacs_core.cli.option_names import OPTION_NAMES

if TYPE_CHECKING:
    from cyclopts import App

_CODES = re.compile(r"^\| (\d+) \| (.*) \|$", re.MULTILINE)


def write_page(words: Sequence[str], app: "App") -> str:
    """Return the manual page of a command, or of a group of commands.

    Parameters
    ----------
    words : sequence of str
        By which it is called: ``("pacs", "store")``.
    app : App
    """
    from importlib.metadata import version

    name = "-".join(words)
    summary, _, rest = describe(app).partition("\n\n")
    lines = [
        f'.TH "{_escape(name.upper())}" "1" "" "pacs {version("pacs-core")}" "User Commands"',
        ".SH NAME",
        f"{_escape(name)} \\- {_escape(_joined(summary).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_escape(' '.join(words))}",
        *_synopsis(app),
        ".SH DESCRIPTION",
        *_paragraphs(summary + "\n\n" + rest),
        *_commands(words, app),
        *_options(app),
    ]
    if app.default_command is not None:
        lines += [".SH EXIT STATUS", *_codes()]
    return "\n".join(lines) + "\n"


def describe(app: "App") -> str:
    """Return what a command does, without its parameters."""
    command = app.default_command
    if command is None or not inspect.getdoc(command):
        return str(app.help or "")
    text = inspect.getdoc(command) or ""
    return re.split(r"\n\nParameters\n-+\n", text)[0]


def _synopsis(app: "App") -> Iterator[str]:
    if app.default_command is None:
        yield ".I COMMAND"
        return
    arguments = _arguments(app)
    for argument in arguments:
        if not _options_of(argument):
            label = _escape(_label(argument))
            yield f".I {label}" if argument.required else f".RI [ {label} ]"
    if any(map(_options_of, arguments)):
        yield ".RI [ OPTION .\\|.\\|. ]"


def _commands(words: Sequence[str], app: "App") -> Iterator[str]:
    names = [name for name in app if not name.startswith("-")]
    if names:
        yield ".SH COMMANDS"
    for name in names:
        yield ".TP"
        yield f".BR {_escape('-'.join((*words, name)))} (1)"
        yield _escape(_joined(describe(app[name]).partition("\n\n")[0])) or "\\&"


def _options(app: "App") -> Iterator[str]:
    if app.default_command is None:
        return
    yield ".SH OPTIONS"
    for argument in _arguments(app):
        names = _options_of(argument)
        yield ".TP"
        label = "" if argument.hint is bool and names else f" {_label(argument)}"
        yield f".B {_escape(', '.join(names) + label if names else label.strip())}"
        text = _joined(str(argument.parameter.help or ""))
        yield _escape(text) or "\\&"
    yield ".TP"
    yield f".B {_escape('--help, -h')}"
    yield "Print a summary."


def _arguments(app: "App") -> list[Any]:
    """Return the arguments of a command; what only groups others has no name of its own."""
    found = app.assemble_argument_collection(parse_docstring=True)
    return [argument for argument in found if "*" not in argument.names]


def _options_of(argument: Any) -> list[str]:
    return [name for name in argument.names if name.startswith("-")]


def _label(argument: Any) -> str:
    name = next(iter(argument.names), "")
    return str(name).lstrip("-").upper().replace("-", "_")


def _codes() -> Iterator[str]:
    for code, meaning in _CODES.findall(inspect.getdoc(errors) or ""):
        yield from (".TP", f".B {code}", _escape(meaning))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            yield ".PP"
            yield _escape(_joined(paragraph))


def _joined(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def _escape(text: str) -> str:
    """Return text in which nothing is a request of roff (groff(7))."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


TOPICS = {
    "exit-codes": "What the exit codes of all commands say.",
    "options": "Options of several commands, which mean the same in each.",
}
"""Topics that `explain_topic` knows, and what they are about."""


def explain_topic(topic: str) -> str:
    """Return the text of a topic of :data:`TOPICS`."""
    if topic == "options":
        rows = ((f"{name}, {each.short}" if each.short else name, each.meaning)
                for name, each in OPTION_NAMES.items())  # fmt: skip
        return "\n".join(f"{name:24} {meaning}" for name, meaning in rows)
    found = _CODES.findall(inspect.getdoc(errors) or "")
    return "\n".join(f"{code:>4}  {meaning}" for code, meaning in found)
