"""The folder in which a dcm4chee keeps its objects, without its database.

Theory of operation
-------------------
Objects are DICOM files without an extension. By default dcm4chee-arc has them at
``{now,date,yyyy/MM/dd}/{0020000D,hash}/{0020000E,hash}/{00080018,hash}``, each hash being eight
hexadecimal digits, and dcm4chee 2 below year, month, day and hour; either may be configured
otherwise. So nothing is read off a path: each file says itself what it is.

A storage for a tape or the like has a TAR archive for each series. The first entry of one of
dcm4chee 2 is ``MD5SUM``, with the digests of the others. Entries are read from where they lie in
the archive, and never extracted. ZIP archives of dcm4chee-arc hold metadata in JSON, and nothing
else: they are passed over, as whatever is no DICOM file.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from attrs import frozen

from pacs_core.cli.dcm4chee.digests import Digests, read_lines
from pacs_core.cli.folders import walk
from pacs_core.cli.other_archives import OtherArchive, OtherArchiveError, OtherInstance
from pacs_core.cli.other_archives.source import md5_of
from pacs_core.dataset import MalformedDataset, NotPart10, scan_file, texts

_STUDY, _INSTANCE = 0x0020_000D, 0x0008_0018
_CHUNK: Final = 1 << 20
_LIST: Final = "MD5SUM"
_LONGEST_LIST: Final = 64 << 20
"""Bytes of the digests of one series, at most."""


@frozen
class _Stored(OtherInstance):
    """A file; or so many bytes of a TAR archive, from an offset."""

    path: Path = Path()
    offset: int = 0
    size: int = -1


@frozen
class Dcm4cheeFolder(OtherArchive):
    """A storage folder, whose server may run.

    Attributes
    ----------
    folder : Path
    digests : Digests or None
        Of files by their path below the folder, as the database has them.
    """

    maker: ClassVar[str] = "dcm4chee"
    has_other_files: ClassVar[bool] = True

    folder: Path
    digests: Digests | None = None

    @classmethod
    def open(cls, place: str, digests: Path | None = None) -> "Dcm4cheeFolder":
        """Return the source of a folder.

        Raises
        ------
        OtherArchiveError
            It is none; or the digests cannot be read.
        """
        folder = Path(place)
        if not folder.is_dir():
            raise OtherArchiveError(f"{folder} is no folder: name the one of its storage")
        if digests is None:
            return cls(folder)
        try:
            with digests.open(encoding="utf-8") as lines:
                return cls(folder, Digests(read_lines(lines, str(digests))))
        except (OSError, UnicodeDecodeError) as error:
            raise OtherArchiveError(f"{digests} cannot be read: {error}") from error

    def instances(self) -> Iterator[OtherInstance]:
        """See base."""
        for path, _ in walk([self.folder]):
            if path.suffix == ".tar":
                yield from self._entries(path)
            else:
                yield _Stored(str(path), path=path, md5=self._digest_of(path))

    def _digest_of(self, path: Path, entry: str = "") -> str:
        if self.digests is None:
            return ""
        name = path.relative_to(self.folder).as_posix()
        return self.digests.find(f"{name}!{entry}" if entry else name)

    def _entries(self, path: Path) -> Iterator[OtherInstance]:
        """Yield what is in a TAR archive; and the archive, if that cannot be read to its end."""
        listed: dict[str, str] = {}
        try:
            with tarfile.open(path, "r:") as archive:
                while (entry := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined] # else it remembers each
                    if not entry.isfile() or entry.issparse():
                        continue
                    if entry.name == _LIST:
                        listed = _read_list(archive, entry, path)
                        continue
                    md5 = listed.pop(entry.name, "") or self._digest_of(path, entry.name)
                    yield _Stored(
                        f"{path}!{entry.name}",
                        md5=md5,
                        path=path,
                        offset=entry.offset_data,
                        size=entry.size,
                    )
                _require_end(path, archive.offset)
        except (tarfile.TarError, OSError, OtherArchiveError) as error:
            yield _Damaged(str(path), reason=f"the TAR archive is damaged: {error}")
        for name in listed:
            yield _Damaged(f"{path}!{name}", reason="the TAR archive lists it, and has it not")

    def identify(self, instance: OtherInstance) -> tuple[str, str]:
        """See base; an entry of an archive is known when it was read."""
        if not isinstance(instance, _Stored) or instance.size >= 0:
            return "", ""
        try:
            found = scan_file(instance.path, {_STUDY, _INSTANCE}).attributes
        except (NotPart10, MalformedDataset, OSError):
            return "", ""  # what is wrong is told when it is taken
        return "".join(texts(found, _STUDY)[:1]), "".join(texts(found, _INSTANCE)[:1])

    def fetch(self, instance: OtherInstance, target: Path) -> Path:
        """See base; what is a file already stays where it is."""
        if isinstance(instance, _Stored) and instance.size < 0:
            if instance.md5:
                self._compare(md5_of(self._chunks(instance)), instance.md5)
            return instance.path
        return super().fetch(instance, target)

    def _chunks(self, instance: OtherInstance) -> Iterator[bytes]:
        if not isinstance(instance, _Stored):
            raise OtherArchiveError(getattr(instance, "reason", "it is not there"))
        left = instance.size
        try:
            with instance.path.open("rb") as file:
                file.seek(instance.offset)
                while left and (chunk := file.read(_CHUNK if left < 0 else min(left, _CHUNK))):
                    left -= len(chunk) if left > 0 else 0
                    yield chunk
        except OSError as error:
            raise OtherArchiveError(f"it cannot be read: {error}") from error
        if left > 0:
            raise OtherArchiveError("the TAR archive ends early")

    def missing(self) -> Iterator[OtherInstance]:
        """See base."""
        if self.digests is not None:
            for path in self.digests.unfound():
                yield OtherInstance(str(self.folder / path))


@frozen
class _Damaged(OtherInstance):
    """What should be there, and cannot be had."""

    reason: str = ""


def _require_end(path: Path, offset: int) -> None:
    """Look for the zeros that end a TAR archive: tarfile takes anything for the end."""
    with path.open("rb") as file:
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise OtherArchiveError(f"there is no more after {offset} bytes")


def _read_list(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> dict[str, str]:
    file = archive.extractfile(entry) if entry.size <= _LONGEST_LIST else None
    if file is None:
        raise OtherArchiveError(f"its list of digests has {entry.size} bytes")
    lines = file.read().decode("ascii", "replace").splitlines()
    return dict(read_lines(lines, f"{path}!{_LIST}"))
