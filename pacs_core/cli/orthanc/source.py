"""The contract of where instances of an Orthanc server come from."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen


class OrthancError(Exception):
    """An Orthanc server, its folder, or an instance of it cannot be read."""


@frozen
class OrthancInstance:
    """An instance that an Orthanc server has.

    Attributes
    ----------
    name : str
        Identifier of the attachment or of the instance, for messages.
    study_instance_uid, sop_instance_uid : str
        Empty if Orthanc does not know them. Its identifiers tell patients and studies apart, so it
        may have several instances with one SOP Instance UID.
    md5 : str
        Of the file as it was received; empty if Orthanc was told to keep none.
    """

    name: str
    study_instance_uid: str
    sop_instance_uid: str
    md5: str


class OrthancSource(ABC):
    """Instances, listed and fetched in threads."""

    @abstractmethod
    def instances(self) -> Iterator[OrthancInstance]:
        """Yield all instances, in bounded memory.

        Raises
        ------
        OrthancError
            They cannot be listed.
        """

    @abstractmethod
    def _chunks(self, instance: OrthancInstance) -> Iterator[bytes]:
        """Yield the file of an instance, as it was received."""

    def digest(self, instance: OrthancInstance) -> str:
        """Return the MD5 of an instance's file, which may have to be asked for."""
        return instance.md5

    def fetch(self, instance: OrthancInstance, target: Path) -> None:
        """Write the file of an instance, and compare it with its digest.

        Raises
        ------
        OrthancError
            It cannot be read, or is damaged.
        """
        found = _write(self._chunks(instance), target)
        expected = self.digest(instance)
        if expected and found != expected:
            raise OrthancError(f"it is damaged in Orthanc: its MD5 is {found}, not {expected}")


def _write(chunks: Iterable[bytes], target: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # what Orthanc keeps
    with target.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
