"""Programs for files, and what they are called with for a folder: ours, and those of DCMTK.

DCMTK's are called in two ways: file after file, as a shell's loop does, and by xargs with as many
processes as there are cores, each with many files where a program takes several.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import field, frozen

from .contestant import Contestant
from .contestants import dcmtk, needs
from .converters import no_server

NAME = "Benchmark^Changed"
TASKS = ("dump", "modify", "json")
_OURS = {
    "dump": ("dump", "{folder}"),
    "modify": ("modify", "{folder}", "--set", f"PatientName={NAME}", "--in-place"),
    "json": ("json", "{folder}", "{target}"),
}
_DCMTK = {
    "dump": ("dcmdump", "-q"),
    "modify": ("dcmodify", "-q", "-nb", "-m", f"PatientName={NAME}"),
    "json": ("dcm2json", "-q"),
}
_BATCH = 32


@frozen
class Toolbox(Contestant):
    """Programs for the files of a folder.

    Attributes
    ----------
    at_once : int
        Processes of theirs; 0 for ours, which divides a folder itself.
    batch : int
        Files that each of them is given, if it takes several.
    """

    at_once: int = field(default=0, kw_only=True)
    batch: int = field(default=1, kw_only=True)

    def command_for(self, task: str, folder: Path, target: Path) -> Sequence[str]:
        """Return the command for all files of a folder, which prints, or writes below another."""
        if not self.at_once:
            words = [each.format(folder=folder, target=target) for each in _OURS[task]]
            return [sys.executable, "-m", "pacs_core.cli.main", *words]
        program, *options = _DCMTK[task]
        words = [dcmtk(program), *options]
        if task == "json":  # which takes one file, and the name of another
            line = f"-I{{}} {shlex.join(words)} {{}} {shlex.quote(str(target))}/{{}}.json"
        else:
            line = f"-n {self.batch} {shlex.join(words)}"
        return ["sh", "-c", f"cd {shlex.quote(str(folder))} && ls | xargs -P {self.at_once} {line}"]


def _toolbox(name: str, settings: str, **more: int) -> Toolbox:
    return Toolbox(
        name,
        durable=False,
        does=frozenset(f"tools {task}" for task in TASKS),
        command=no_server,
        settings=settings,
        missing=needs("dcmdump") if more else lambda: "",
        **more,
    )


_CORES = os.cpu_count() or 1

TOOLBOXES = (
    _toolbox("ours-tools", "pacs dump, modify --in-place, json; a folder to one command"),
    _toolbox("dcmtk-tools-loop", "a run for each file, one after the other", at_once=1),
    _toolbox(
        "dcmtk-tools-xargs",
        f"xargs -P {_CORES}, {_BATCH} files to a run; one to one of dcm2json",
        at_once=_CORES,
        batch=_BATCH,
    ),
)
