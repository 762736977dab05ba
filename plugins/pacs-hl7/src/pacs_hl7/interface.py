"""Messages as they are kept: those that came, and those that are sent."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from pacs_core.contracts import Component, EntityPath
from pacs_core.dataset import Attributes


class MessageState(StrEnum):
    """What became of a message."""

    RECEIVED = "received"
    """Nothing yet: it is being worked on, or the node was killed before it was answered."""
    DONE = "done"
    IGNORED = "ignored"
    """It tells nothing that concerns an archive of images."""
    FAILED = "failed"
    UNDONE = "undone"
    """What it did was taken back."""


class ConflictKind(StrEnum):
    """In what a message contradicts what is known."""

    ITSELF = "itself"
    """A patient is to be merged with themselves."""
    MERGED = "merged"
    """The prior patient, or the one to remain, has been merged into another before."""
    CYCLE = "cycle"
    """The one to remain has been merged into the prior one."""
    UNKNOWN_PATIENT = "unknown-patient"
    """Nothing is here of the prior patient: the merge waits for what may come."""
    NOT_LINKED = "not-linked"
    """Patients are to be unlinked that are not linked."""
    UNKNOWN_STUDY = "unknown-study"
    """A report is about a study that is not here."""


@frozen
class Effect:
    """One thing that a message has changed, as far as it can be taken back.

    Attributes
    ----------
    correction : int
        The number of a correction of the archive; 0 if it is none.
    records : str
        Of which kind records were changed: :attr:`PatientRecords.records_name`.
    patient : EntityPath or None
        Whose records they have been since.
    before : mapping of str to Attributes
        What the records said before, by their keys.
    """

    correction: int = 0
    records: str = ""
    patient: EntityPath | None = None
    before: Mapping[str, Attributes] = field(factory=dict)


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
    conflict : ConflictKind or None
    effects : tuple of Effect
        What it has changed.
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
    conflict: ConflictKind | None = None
    effects: tuple[Effect, ...] = ()


class Messages(Component):
    """Keeps messages."""

    @abstractmethod
    def turn(self) -> AbstractAsyncContextManager[None]:
        """Be the only one who heeds messages, or takes back what they did; for a block.

        Among all processes that share the messages: commands, and nodes.
        """

    @abstractmethod
    async def keep(
        self, content: bytes, *, sender: str, control_id: str, kind: str, patient: str
    ) -> KeptMessage:
        """Keep a message durably, and return it: as it was kept before, if it was.

        The same are those of one sender with the same control ID and the same content: senders
        repeat what they were not answered.
        """

    @abstractmethod
    async def namesakes(self, message: KeptMessage) -> int:
        """Return how many other messages of the sender have the control ID of one."""

    @abstractmethod
    async def note(self, message: KeptMessage) -> None:
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
        self, *, state: MessageState | None = None, patient: str = "", conflicts: bool = False
    ) -> AsyncIterator[KeptMessage]:
        """Iterate over messages, the latest first.

        Parameters
        ----------
        state : MessageState, optional
        patient : str
        conflicts : bool
            Only those that contradict what was known.
        """

    @abstractmethod
    async def forget(self, before: float) -> int:
        """Forget messages received before a time, and return how many.

        Not what failed, or was not worked on yet.
        """


SEND: Final = "hl7.send"
"""The kind of the job that sends."""


class OutgoingState(StrEnum):
    """How far a message is."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    """It was refused, and waits for somebody: a dead letter."""


@frozen
class OutgoingMessage:
    """A message for a system.

    Attributes
    ----------
    number : int
    peer : str
        Name of its table.
    created : float
        Seconds since the epoch.
    control_id, kind : str
    content : bytes
    state : OutgoingState
    result : str
        How it was answered, or why it could not be sent the last time.
    """

    number: int
    peer: str
    created: float
    control_id: str
    kind: str
    content: bytes
    state: OutgoingState
    result: str


class Outgoing(Component):
    """What systems are still to be told, and have been."""

    @abstractmethod
    async def add(self, peer: str, control_id: str, kind: str, content: bytes) -> bool:
        """Have a message sent; False if there is one for this system with this control ID."""

    @abstractmethod
    async def next(self, peer: str) -> OutgoingMessage | None:
        """Return the message that is to be sent next, if there is one."""

    @abstractmethod
    async def note(self, number: int, state: OutgoingState, result: str) -> None:
        """Say what became of a message."""

    @abstractmethod
    async def send_again(self, number: int) -> None:
        """Let a message wait again.

        Raises
        ------
        KeyError
            There is none.
        """

    @abstractmethod
    def search(self, state: OutgoingState | None = None) -> AsyncIterator[OutgoingMessage]:
        """Iterate over messages, the latest first."""

    @abstractmethod
    async def forget(self, before: float) -> int:
        """Forget messages that were made before a time, and sent; return how many."""
