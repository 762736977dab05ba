"""The names of options agree in all commands, with the table that the reference shows."""

import os
import pty
import subprocess
import sys
from collections import defaultdict
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin

import pytest
from attrs import frozen
from cyclopts import App
from pydicom.data import get_testdata_file

from pacs_core.cli import contributed
from pacs_core.cli.application import build_app
from pacs_core.cli.cyclopts_commands import to_cyclopts
from pacs_core.cli.file_commands import list_file_commands
from pacs_core.cli.option_names import OPTION_NAMES, WITHOUT_SHORT

CT = get_testdata_file("CT_small.dcm")
MAY_BE_DENIED = {
    "--again",
    "--new-uid",
    "--results",
    "--tls",
    "--totals",
    "--transcode",
    "--verify",
}
"""Flags whose other value has a name too: their default is true, or their configuration's."""


@frozen
class Option:
    command: str
    names: tuple[str, ...]
    kind: str

    @property
    def long(self):
        return next(name for name in self.names if name.startswith("--"))

    @property
    def short(self):
        return "".join(name for name in self.names if not name.startswith("--"))


def kind_of(hint):
    if get_origin(hint) in {Union, UnionType}:
        (hint, *_) = [each for each in get_args(hint) if each is not type(None)]
    if get_origin(hint) in {list, tuple}:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return "text"
    kinds = {bool: "flag", Path: "path", int: "number", float: "number", str: "text"}
    return kinds.get(hint, "time")


@cache
def options():
    app = build_app()
    list_file_commands(app, ())
    found = list(walk(app, ""))
    for _, descriptor in contributed._descriptors([])[0]:
        group, _, name = descriptor.name.rpartition(" ")
        app = App(name="pacs")
        app.command(to_cyclopts(descriptor.load()), name=name)
        found += walk(app, group)
    return found


def walk(app, above):
    for name in app:
        if name.startswith("-"):
            continue
        command, path = app[name], f"{above} {name}".strip()
        if command.default_command is not None:
            for argument in command.assemble_argument_collection():
                if names := tuple(each for each in argument.names if each.startswith("-")):
                    yield Option(path, names, kind_of(argument.hint))
        yield from walk(command, path)


def test_all_commands_are_looked_at():
    commands = {option.command for option in options()}
    assert {"store", "dump", "deidentify", "jobs list", "sign", "archive copy"} <= commands


def test_what_several_commands_have_is_in_the_table():
    commands = defaultdict(set)
    for option in options():
        commands[option.long].add(option.command)
    shared = {name for name, found in commands.items() if len(found) > 1}
    assert shared - OPTION_NAMES.keys() == set()


@pytest.mark.parametrize("name", sorted(OPTION_NAMES))
def test_names_are_as_the_table_has_them(name):
    entry = OPTION_NAMES[name]
    found = [option for option in options() if option.long == name]
    assert found, f"no command has {name}"
    for option in found:
        short = "" if (option.command, name) in WITHOUT_SHORT else entry.short
        assert (option.command, option.short) == (option.command, short)
        assert (option.command, option.kind in entry.kinds) == (option.command, True)


def test_a_letter_stands_for_one_option():
    longs = defaultdict(set)
    for option in options():
        if option.short:
            longs[option.short].add(option.long)
    assert {short: names for short, names in longs.items() if len(names) > 1} == {}


def test_no_option_is_there_to_empty_another():
    negatives = {
        (option.command, name)
        for option in options()
        for name in option.names
        if name.startswith(("--empty-", "--no-")) and option.long not in MAY_BE_DENIED
    }
    assert negatives == set()


def output_on_terminal(more):
    """Return what ``pacs dump`` prints on a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pacs_core.cli.main", "dump", "--tag", "PatientID", CT]
    environment = {**os.environ, "TERM": "xterm", **more}
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        printed = os.read(ours, 4096)
    os.close(ours)
    assert process.returncode == 0
    return printed


def test_colours_are_for_terminals_and_off_with_no_color():
    assert b"\x1b[" in output_on_terminal({"NO_COLOR": ""})
    assert b"\x1b" not in output_on_terminal({"NO_COLOR": "1"})
    command = [sys.executable, "-m", "pacs_core.cli.main"]
    for arguments in (["dump", "--tag", "PatientID", CT], ["--help"]):
        done = subprocess.run([*command, *arguments], capture_output=True, check=True)
        assert b"\x1b" not in done.stdout + done.stderr
