"""The contract of where instances of another archive come from."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from attrs import frozen


class OtherArchiveError(Exception):
    """Another archive, its folder, or an instance of it cannot be read."""


@frozen
class OtherInstance:
    """An instance that another archive has.

    Attributes
    ----------
    name : str
        By which the other archive knows it, for messages.
    study_instance_uid, sop_instance_uid : str
        Empty if they are not known. Another archive may tell patients and studies apart, so it
        may have several instances with one SOP Instance UID.
    md5 : str
        Of the file as it was received; empty if none was kept.
    """

    name: str
    study_instance_uid: str = ""
    sop_instance_uid: str = ""
    md5: str = ""


class OtherArchive(ABC):
    """Instances, listed and fetched in threads."""

    maker: ClassVar[str]
    """The name of the other archive, for messages."""
    has_other_files: ClassVar[bool] = False
    """Whether what it lists may be something else, to be passed over."""

    @abstractmethod
    def instances(self) -> Iterator[OtherInstance]:
        """Yield all instances, in bounded memory.

        Raises
        ------
        OtherArchiveError
            They cannot be listed.
        """

    @abstractmethod
    def _chunks(self, instance: OtherInstance) -> Iterator[bytes]:
        """Yield the file of an instance, as it was received."""

    def identify(self, instance: OtherInstance) -> tuple[str, str]:
        """Return Study and SOP Instance UID, for which a header may have to be read."""
        return instance.study_instance_uid, instance.sop_instance_uid

    def digest(self, instance: OtherInstance) -> str:
        """Return the MD5 of an instance's file, which may have to be asked for."""
        return instance.md5

    def fetch(self, instance: OtherInstance, target: Path) -> Path:
        """Write the file of an instance, compare it with its digest, and return where it is.

        Raises
        ------
        OtherArchiveError
            It cannot be read, or is damaged.
        """
        found = _write(self._chunks(instance), target)
        self._compare(found, self.digest(instance))
        return target

    def missing(self) -> Iterator[OtherInstance]:
        """Yield what there should have been, and was not listed; asked when all was."""
        return iter(())

    def _compare(self, found: str, expected: str) -> None:
        if expected and found != expected:
            raise OtherArchiveError(
                f"it is damaged in {self.maker}: its MD5 is {found}, not {expected}"
            )


def _write(chunks: Iterable[bytes], target: Path) -> str:
    with target.open("wb") as file:
        return md5_of(chunks, file.write)


def md5_of(chunks: Iterable[bytes], taken: Callable[[bytes], object] = len) -> str:
    """Return the MD5 of what comes, each part of which is given to a function."""
    digest = hashlib.md5(usedforsecurity=False)  # what other archives keep
    for chunk in chunks:
        digest.update(chunk)
        taken(chunk)
    return digest.hexdigest()
