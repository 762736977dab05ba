"""One operation, as observers are told of it."""

from collections.abc import AsyncIterator
from time import monotonic

from attrs import define, field

from pacs_core.association.sender import DatasetSource
from pacs_core.contracts import (
    AssociationInfo,
    ObservedOperation,
    OperationEnd,
    OperationObservers,
)
from pacs_core.dimse import Command, StatusCategory, category


@define
class Observation:
    """Counts the bytes of an operation's datasets, and tells when it begins and ends.

    Attributes
    ----------
    operation : ObservedOperation
    observers : OperationObservers
    received, sent : int
        Bytes.
    """

    operation: ObservedOperation
    observers: OperationObservers
    received: int = 0
    sent: int = 0
    _began: float = field(factory=monotonic)
    _ended: bool = False

    def end(self, status: int | None) -> None:
        """Tell that the operation has ended; only the first end counts."""
        if self._ended:
            return
        self._ended = True
        seconds = monotonic() - self._began
        end = OperationEnd(status, self.received, self.sent, seconds)
        self.observers.tell_ended(self.operation, end)

    def respond(self, command: Command, dataset: bytes | None) -> None:
        """Take account of a response that arrived."""
        self.received += len(dataset or b"")
        status = command.status or 0
        if category(status) is not StatusCategory.PENDING:
            self.end(status)

    def count(self, dataset: DatasetSource | None) -> DatasetSource | None:
        """Return a dataset that is going to be sent, so that it is counted."""
        if dataset is None or isinstance(dataset, bytes | memoryview):
            self.sent += len(dataset or b"")
            return dataset
        return self._count_chunks(aiter(dataset))

    async def _count_chunks(
        self, chunks: AsyncIterator[bytes | memoryview]
    ) -> AsyncIterator[bytes | memoryview]:
        async for chunk in chunks:
            self.sent += len(chunk)
            yield chunk


def begin_observation(
    observers: OperationObservers,
    association: AssociationInfo,
    command: Command,
    *,
    is_invoked_here: bool,
) -> Observation:
    """Tell observers, of whom there are some, of an operation that begins."""
    operation = ObservedOperation(association, command, is_invoked_here)
    observers.tell_began(operation)
    return Observation(operation, observers)
