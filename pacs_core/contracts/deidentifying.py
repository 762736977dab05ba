"""The contract of de-identifiers: instances without what tells whose they are (PS3.15 Annex E).

A capability: a plugin offers it with `pacs_capabilities`, and a door that hands instances out asks
``node.capabilities.provides(Deidentifier)``.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from attrs import frozen

from pacs_core.contracts.component import Component


class DeidentificationRefusedError(ValueError):
    """An instance is not safe to let out, or cannot be read; the message tells nothing of whom."""


@frozen
class DeidentifiedInstance:
    """What was made of an instance: a DICOM file (PS3.10), all of it at hand.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        The instance is another one now, unless UIDs are retained.
    size : int
        Bytes of the file.
    dataset_offset : int
        Where in it the dataset begins.
    read : callable
        Iterates over the bytes of the file from an offset.
    warnings : tuple of str
        What somebody should look at.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size: int
    dataset_offset: int
    read: Callable[[int], AsyncIterator[bytes]]
    warnings: tuple[str, ...] = ()


class Deidentifier(Component, ABC):
    """De-identifies instances on their way out, by profiles that the site has configured."""

    @property
    @abstractmethod
    def profiles(self) -> frozenset[str]:
        """Names of the profiles there are."""

    @abstractmethod
    def deidentify(
        self, content: AsyncIterable[bytes | memoryview], profile: str = ""
    ) -> AbstractAsyncContextManager[DeidentifiedInstance]:
        """De-identify an instance; what was made of it is gone when the context is left.

        Another task may leave the context than has entered it.

        UIDs and pseudonyms are the same whenever the same instance is de-identified by the node.

        Parameters
        ----------
        content : async iterable of bytes-like
            A DICOM file; it is read before the context is entered.
        profile : str
            Empty for the one that is configured as the usual one.

        Raises
        ------
        DeidentificationRefusedError
            It is not safe to let it out, or it cannot be read.
        LookupError
            There is no such profile.
        """
