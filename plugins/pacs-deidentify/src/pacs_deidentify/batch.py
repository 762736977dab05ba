"""Files of folders, one after the other or in several processes, and what became of each."""

import logging
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal

from attrs import field, frozen
from pydicom.dataset import Dataset

from pacs_core.api.file_commands import Draft, map_files
from pacs_deidentify.blanking import Removable
from pacs_deidentify.deflation import Writer
from pacs_deidentify.errors import CompressedPixelsError, DeidentificationError
from pacs_deidentify.files import ReadFile, deidentify_file
from pacs_deidentify.leaks import Findings, find_leaks
from pacs_deidentify.profile import Profile
from pacs_deidentify.regions import Region
from pacs_deidentify.report import Report
from pacs_deidentify.vault import Originals

Outcome = Literal["de-identified", "refused", "failed", "skipped", "leaking", "compressed"]
"""Compressed is what cannot be blanked before its pixels are native."""

Writing = Callable[[bytes], object]

_NOT_DICOM: Final = "not a DICOM file"


@frozen
class FileResult:
    """What became of a file.

    Attributes
    ----------
    source : Path
    outcome : str
    reason : str
        Why there is nothing of it.
    target : str
        What was made of it, below the output folder.
    counts : dict of str to int
        Attributes that each action was done to.
    changes : tuple of (str, str)
        Paths of attributes, and the action.
    warnings : tuple of str
    leaks : tuple of str
        Paths of attributes that still show what they must not.
    sought : dict of str to int
        How many values of each group what was made was searched for.
    searched : int
        Bytes of what was made that were searched.
    originals : Originals or None
        What it had that identified somebody: secret, for the vault.
    """

    source: Path
    outcome: Outcome
    reason: str = ""
    target: str = ""
    counts: dict[str, int] = field(factory=dict)
    changes: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    sought: dict[str, int] = field(factory=dict)
    searched: int = 0
    originals: Originals | None = field(default=None, repr=False)


@frozen
class Native:
    """A file with native pixels, made of one whose pixels were compressed.

    Attributes
    ----------
    path : Path
    made : Path
        Where is written what is made of it, before it is compressed again.
    encode : callable
        Compresses a file again, and hands on its bytes.
    """

    path: Path
    made: Path
    encode: Callable[[Path, Writing], None]


@frozen
class Batch:
    """How files are treated.

    Attributes
    ----------
    profile : Profile
    output : Path
        Each file is in folders of its study and series there.
    overwrite : bool
        Whether what is there already is replaced.
    prove : bool
        Whether what is made is searched for what it must not show, before it gets its name.
    keeps_leaking : bool
        Whether what shows something gets its name all the same.
    keeps : bool
        Whether results have what identified somebody.
    reads_pixels : bool
        Whether text is looked for in pixels.
    faces : Path or None
        Folder of what was found by :func:`~pacs_deidentify.face_search.look_for_faces`.
    """

    profile: Profile
    output: Path
    overwrite: bool = False
    prove: bool = False
    keeps_leaking: bool = False
    keeps: bool = False
    reads_pixels: bool = False
    faces: Path | None = None

    def run(self, files: Iterable[Path], jobs: int) -> Iterator[FileResult]:
        """Iterate over what became of files, in their order."""
        return map_files(self.one, files, jobs)

    def one(self, path: Path, native: Native | None = None) -> FileResult:
        """De-identify a file into the output folder: whole, or not at all."""
        # pydicom warns of values that are not valid, and names them: nobody is to read them.
        logging.getLogger("pydicom").setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                mode = path.stat().st_mode
                if stat.S_ISDIR(mode) and not path.is_symlink():
                    return FileResult(path, "failed", "the folder cannot be read")
                if not stat.S_ISREG(mode):
                    return FileResult(path, "skipped", "not a regular file")
                return self._write(path, native)
            except CompressedPixelsError as error:
                return FileResult(path, "compressed", str(error))
            except DeidentificationError as error:
                reason = str(error)
                outcome: Outcome = "skipped" if reason.startswith(_NOT_DICOM) else "refused"
                return FileResult(path, outcome, reason)
            except OSError as error:
                return FileResult(path, "failed", error.strerror or str(error))
            except RecursionError:
                return FileResult(path, "refused", "sequences are nested too deeply")
            except Exception as error:
                # Its text may be a value of the instance, and the other files can be done.
                reason = f"it cannot be de-identified: {type(error).__name__}"
                return FileResult(path, "refused", reason)

    def _text_finder(self) -> Callable[[ReadFile], list[Region] | None] | None:
        if not self.reads_pixels:
            return None
        # The extra brings what it imports.
        from pacs_deidentify.ocr import find_text

        return find_text

    def _face_finder(self) -> Callable[[Dataset], Removable | None] | None:
        if self.faces is None:
            return None
        # The extra brings what it imports.
        from pacs_deidentify.face_search import face_of

        return partial(face_of, self.faces)

    def _make(self, path: Path, native: Native | None, draft: Draft, names: list[str]) -> Report:
        """De-identify a file into a draft, and say under which names it is to be."""
        name, face = partial(name_file, draft, names), self._face_finder()
        if native is None:
            return deidentify_file(path, self.profile, name, self._text_finder(), face)
        with native.made.open("xb") as target:
            name = partial(name_file, target, names)
            report = deidentify_file(native.path, self.profile, name, self._text_finder(), face)
        if report.changes_pixels:
            native.encode(native.made, draft.write)
            return report
        # There was no text in it: it can stay as it was compressed.
        names.clear()
        name = partial(name_file, draft, names)
        return deidentify_file(path, self.profile, name, lambda read: [])

    def _write(self, path: Path, native: Native | None) -> FileResult:
        draft = Draft(self.output)
        try:
            names: list[str] = []
            report = self._make(path, native, draft, names)
            target = "/".join(names)
            if not self.overwrite and (self.output / target).exists():
                # Whose it is follows from the key, and a run that was killed may not have said so.
                reason = f"{target} exists; replace it with --overwrite"
                return FileResult(path, "failed", reason, originals=self._originals(names, report))
            found = self._search(draft, report)
            published = not found.leaks or self.keeps_leaking
            if published:
                draft.finish(*names[:-1], name=names[-1])
        finally:
            draft.discard()
        return FileResult(
            path,
            "leaking" if found.leaks else "de-identified",
            target=target if published else "",
            counts=report.count(),
            changes=tuple((where, str(action)) for where, action in report.changes),
            warnings=tuple(report.warnings),
            leaks=found.leaks,
            sought=report.evidence.count() if found.searched else {},
            searched=found.searched,
            originals=self._originals(names, report) if published else None,
        )

    def _originals(self, names: list[str], report: Report) -> Originals | None:
        if not self.keeps:
            return None
        study = names[0] if len(names) > 2 else ""
        sop = report.sop_instance_uid
        uids = report.uids | {sop: report.uids.get(sop, sop)}
        return Originals(sop, study, report.attributes, uids)

    def _search(self, draft: Draft, report: Report) -> Findings:
        if not self.prove and not self.profile.proves:
            return Findings()
        with draft.reopen() as made:
            return find_leaks(made, report.evidence, dates_move=self.profile.moves_dates)


def name_file(target: Writer, names: list[str], made: Dataset) -> Writer:
    """Remember the names under which a file is to be: UIDs that it has."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        uid = str(made.get(keyword, "") or "").strip()
        if uid and (len(uid) > 64 or not uid.replace(".", "").isdecimal() or not uid.isascii()):
            raise DeidentificationError(f"its {keyword} is no UID")
        names += [uid] if uid else []
    if not made.get("SOPInstanceUID"):
        raise DeidentificationError("it has no SOP Instance UID")
    names[-1] += ".dcm"
    return target
