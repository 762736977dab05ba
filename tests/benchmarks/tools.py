"""Programs for files, and what they are called with for a folder: ours, and those of DCMTK.

DCMTK's are called in two ways: file after file, as a shell's loop does, and by xargs with as many
processes as there are cores, each with many files where a program takes several.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import field, frozen

from .contestant import Contestant
from .contestants import dcmtk, needs
from .converters import no_server

NAME = "Benchmark^Changed"


@frozen(kw_only=True)
class Task:
    """What is done with all files of a folder.

    Attributes
    ----------
    source : str
        Kind of files: "ct", "report", "pdf", "stl", "jpeg" or "bmp"; or the name of a task whose
        output they are, by the same programs.
    ours : tuple of str
        Words, with places for the folder and for a target to write.
    dcmtk : tuple of str
        Program, and its options.
    writes : str
        How names end of what DCMTK's is called with, beside each single file, to write; empty if it
        takes many files.
    whole : bool
        DCMTK's is called once, in the folder.
    """

    source: str = "ct"
    ours: tuple[str, ...]
    dcmtk: tuple[str, ...]
    writes: str = ""
    whole: bool = False


_FOLDERS: Final = ("{folder}", "{target}")
TASKS: Final = {
    "dump": Task(ours=("dump", "{folder}"), dcmtk=("dcmdump", "-q")),
    "info": Task(ours=("info", "{folder}"), dcmtk=("dcmftest",)),
    "modify": Task(
        ours=("modify", "{folder}", "--set", f"PatientName={NAME}", "--in-place"),
        dcmtk=("dcmodify", "-q", "-nb", "-m", f"PatientName={NAME}"),
    ),
    "implicit": Task(
        ours=("convert", "-t", "implicit", *_FOLDERS), dcmtk=("dcmconv", "-q", "+ti"), writes=".dcm"
    ),
    "json": Task(ours=("json", *_FOLDERS), dcmtk=("dcm2json", "-q"), writes=".json"),
    "xml": Task(ours=("xml", *_FOLDERS), dcmtk=("dcm2xml", "-q", "+Wb"), writes=".xml"),
    "dicomdir": Task(
        ours=("dicomdir", "create", "{folder}", "--output", "{target}"),
        dcmtk=("dcmmkdir", "-q", "+I", "+r", "+id", ".", "+D", "DICOMDIR"),
        whole=True,
    ),
    "sr": Task(source="report", ours=("sr", "{folder}"), dcmtk=("dsrdump",)),
    "extract": Task(
        ours=("extract", "{folder}", "--output", "{target}", "--format", "png"),
        dcmtk=("dcm2pnm", "-q", "+on", "+Wm"),
        writes=".png",
    ),
    "from-pdf": Task(
        source="pdf", ours=("from-pdf", *_FOLDERS), dcmtk=("pdf2dcm", "-q"), writes=".dcm"
    ),
    "from-stl": Task(
        source="stl", ours=("from-stl", *_FOLDERS), dcmtk=("stl2dcm", "-q"), writes=".dcm"
    ),
    "to-document": Task(
        source="from-pdf", ours=("to-document", *_FOLDERS), dcmtk=("dcm2pdf", "-q"), writes=".pdf"
    ),
    "from-jpeg": Task(
        source="jpeg", ours=("from-image", *_FOLDERS), dcmtk=("img2dcm", "-q"), writes=".dcm"
    ),
    "from-bmp": Task(
        source="bmp",
        ours=("from-image", *_FOLDERS),
        dcmtk=("img2dcm", "-q", "-i", "BMP"),
        writes=".dcm",
    ),
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

    def command_for(self, name: str, folder: Path, target: Path) -> Sequence[str]:
        """Return the command for all files of a folder, which prints, or writes a target."""
        task = TASKS[name]
        if not self.at_once:
            words = [each.format(folder=folder, target=target) for each in task.ours]
            return [sys.executable, "-m", "pacs_core.cli.main", *words]
        program, *options = task.dcmtk
        words = [dcmtk(program), *options]
        if task.whole:  # on a copy, as ours makes one
            copy = shlex.join(["cp", "-r", str(folder), str(target)])
            return ["sh", "-c", f"{copy} && cd {shlex.quote(str(target))} && {shlex.join(words)}"]
        line = f"-n {self.batch} {shlex.join(words)}"
        if task.writes:
            written = f"{shlex.quote(str(target))}/{{}}{task.writes}"
            line = f"-I{{}} {shlex.join(words)} {{}} {written}"
        run = f"ls | xargs -P {self.at_once} {line}"
        made = shlex.join(["mkdir", str(target)])
        return ["sh", "-c", f"{made} && cd {shlex.quote(str(folder))} && {run}"]


def _toolbox(name: str, settings: str, **more: int) -> Toolbox:
    return Toolbox(
        name,
        durable=False,
        does=frozenset([*(f"tools {task}" for task in TASKS), *([] if more else ["starts"])]),
        command=no_server,
        settings=settings,
        missing=needs("dcmdump") if more else lambda: "",
        **more,
    )


_CORES = os.cpu_count() or 1

TOOLBOXES = (
    _toolbox("ours-tools", "a folder to one command of pacs"),
    _toolbox("dcmtk-tools-loop", "a run for each file, one after the other", at_once=1),
    _toolbox(
        "dcmtk-tools-xargs",
        f"xargs -P {_CORES}, {_BATCH} files to a run, or one where a program takes one",
        at_once=_CORES,
        batch=_BATCH,
    ),
)
