"""Programs for files, and what they are called with for a folder: ours, and those of others.

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
        Words, with places for the folder, for a target to write, and for a key and its certificate.
    dcmtk : tuple of str
        Program, and its options, with the same places.
    writes : str
        How names end of what DCMTK's is called with, beside each single file, to write; empty if it
        takes many files.
    single : bool
        DCMTK's takes one file.
    whole : bool
        DCMTK's is called once, in a copy of the folder.
    """

    source: str = "ct"
    ours: tuple[str, ...]
    dcmtk: tuple[str, ...]
    writes: str = ""
    single: bool = False
    whole: bool = False


_TOLD: Final = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID",
    "PatientName", "StudyDate", "StudyDescription", "SeriesDescription", "Modality", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation",
    "BurnedInAnnotation", "PatientIdentityRemoved",
)  # fmt: skip
"""Attributes of which `pacs info` tells."""

_FOLDERS: Final = ("{folder}", "{target}")
TASKS: Final = {
    "dump": Task(ours=("dump", "{folder}"), dcmtk=("dcmdump", "-q")),
    "info": Task(
        ours=("info", "{folder}"),
        dcmtk=("dcmdump", "-q", "+F", *(word for each in _TOLD for word in ("+P", each))),
    ),
    # It reads 132 bytes of each, and says whether they begin a DICOM file.
    "is-dicom": Task(ours=("info", "{folder}"), dcmtk=("dcmftest",)),
    "find-files": Task(
        ours=("find-files", "{folder}", "-k", "PatientID=1CT1"),
        dcmtk=("dcmdump", "-q", "+F", "+P", "PatientID"),
    ),
    "validate": Task(ours=("validate", "{folder}"), dcmtk=("dciodvfy",), single=True),
    "sign": Task(
        ours=(
            "sign",
            "{folder}",
            "--output",
            "{target}",
            "--private-key",
            "{key}",
            "--certificate",
            "{certificate}",
        ),
        dcmtk=("dcmsign", "-q", "+s", "{key}", "{certificate}"),
        writes=".dcm",
    ),
    "verify": Task(
        source="sign",
        ours=("verify", "{folder}", "--ca", "{certificate}"),
        dcmtk=("dcmsign", "+cf", "{certificate}"),
        single=True,
    ),
    "deidentify": Task(
        ours=("deidentify", *_FOLDERS),
        dcmtk=("gdcmanon", "-e", "-c", "{certificate}"),
        writes=".dcm",
    ),
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
        places = {"folder": folder, "target": target}
        places |= {each: folder.parent / f"{each}.pem" for each in ("key", "certificate")}
        if not self.at_once:
            words = [each.format(**places) for each in task.ours]
            return [sys.executable, "-m", "pacs_core.cli.main", *words]
        program, *options = (each.format(**places) for each in task.dcmtk)
        words = [dcmtk(program), *options]
        if task.whole:  # on a copy, as ours makes one
            copy = shlex.join(["cp", "-r", str(folder), str(target)])
            return ["sh", "-c", f"{copy} && cd {shlex.quote(str(target))} && {shlex.join(words)}"]
        line = f"-n {self.batch} {shlex.join(words)}"
        if task.single:  # these say what they have found as if it were wrong
            line = f"-n 1 {shlex.join(words)} 2>&1"
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
