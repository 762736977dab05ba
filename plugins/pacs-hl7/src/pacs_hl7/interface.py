"""Messages as they are kept: what came, what became of it, and how it was answered."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from enum import StrEnum

from attrs import frozen

from pacs_core.contracts import Component


class MessageState(StrEnum):
    """What became of a message."""

    RECEIVED = "received"
    """Nothing yet: it is being worked on, or the node was killed before it was answered."""
    DONE = "done"
    IGNORED = "ignored"
    """It tells nothing that concerns an archive of images."""
    FAILED = "failed"


@frozen
class KeptMessage:
    """A message.

    Attributes
    ----------
    number : int
    received : float
        Seconds since the epoch.
    sender : str
        Application and facility, ``APP|FACILITY``.
    control_id, kind, patient : str
    content : bytes
    state : MessageState
    result : str
        What was done, or what is wrong.
    answer : bytes
        The acknowledgment; empty until there is one.
    """

    number: int
    received: float
    sender: str
    control_id: str
    kind: str
    patient: str
    content: bytes
    state: MessageState
    result: str
    answer: bytes


class Messages(Component):
    """Keeps messages."""

    @abstractmethod
    async def keep(
        self, content: bytes, *, sender: str, control_id: str, kind: str, patient: str
    ) -> KeptMessage:
        """Keep a message durably, and return it: as it was kept before, if it was.

        The same are those of one sender with the same control ID and the same content: senders
        repeat what they were not answered.
        """

    @abstractmethod
    async def note(self, number: int, state: MessageState, result: str, answer: bytes) -> None:
        """Say what became of a message, before it is answered."""

    @abstractmethod
    async def find(self, number: int) -> KeptMessage:
        """Return a message.

        Raises
        ------
        KeyError
        """

    @abstractmethod
    def search(
        self, *, state: MessageState | None = None, patient: str = ""
    ) -> AsyncIterator[KeptMessage]:
        """Iterate over messages, the latest first."""

    @abstractmethod
    async def forget(self, before: float) -> int:
        """Forget messages received before a time that did not fail; return how many."""
