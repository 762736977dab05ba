"""Requests that this side has sent, and the responses that come back."""

from collections import deque

import anyio
from attrs import define, field

from pacs_core.association.errors import AssociationError
from pacs_core.association.observation import Observation
from pacs_core.concurrency import Signal
from pacs_core.dimse import Command, CommandField, DimseProtocolViolation, InvokedOperations

# Theory of operation
#
# A request of this side has a place in the window, a message ID, and an `Invocation` where its
# responses queue until its caller takes them. The reader adds responses and never waits; when a
# caller falls behind by HIGH_WATER, the reader stops reading until it has caught up.
#
# A caller that gives up (a C-FIND that was cancelled) abandons its invocation: responses to it pass
# by, but its place and its message ID stay taken until the final one, since the peer may use them.
#
# Where the association ends, every invocation fails with the same error, the reason of the end.

MAX_RESPONSE_DATASET = 16 * 1024 * 1024
"""Largest dataset of a response, in bytes: identifiers and attribute lists, never pixel data."""

HIGH_WATER = 256
"""Responses that may wait for their taker before the association stops reading from the peer."""


@define(eq=False)
class Invocation:
    """One outstanding request: its responses queue here."""

    message_id: int
    context_id: int
    observation: Observation | None = None
    _responses: deque[tuple[Command, bytes | None]] = field(factory=deque)
    _abandoned: bool = False
    _failure: AssociationError | None = None
    _arrived: Signal = field(factory=Signal)
    _taken: Signal = field(factory=Signal)

    def add(self, command: Command, dataset: bytes | None) -> None:
        """Queue a response."""
        if self.observation is not None:
            self.observation.respond(command, dataset)
        if not self._abandoned:
            self._responses.append((command, dataset))
            self._arrived.set()

    def abandon(self) -> None:
        """Nobody will take responses any more: let them pass by."""
        self._abandoned = True
        self._responses.clear()
        self._taken.set()

    def fail(self, failure: AssociationError) -> None:
        """No response will come any more."""
        if self.observation is not None:
            self.observation.end(None)
        self._failure = failure
        self._arrived.set()

    async def response(self) -> tuple[Command, bytes | None]:
        """Wait for the next response, pending or final.

        Raises
        ------
        AssociationError
            The association ended before it came.
        """
        while not self._responses:
            if self._failure is not None:
                raise self._failure
            await self._arrived.wait()
        self._taken.set()
        return self._responses.popleft()

    @property
    def is_full(self) -> bool:
        """Whether the taker has fallen behind."""
        return len(self._responses) > HIGH_WATER

    async def wait_for_room(self) -> None:
        """Wait until the taker has caught up."""
        while self.is_full:
            await self._taken.wait()


class Invoker:
    """All outstanding requests of one side of an association.

    Parameters
    ----------
    window : int
        Requests that may be outstanding at once; 0 for no limit (PS3.7 D.3.3.3).
    """

    def __init__(self, window: int) -> None:
        self._account = InvokedOperations(window)
        self._open: dict[int, Invocation] = {}
        self._room: anyio.Event | None = None
        self._failure: AssociationError | None = None
        self._responding: tuple[Command, Invocation, bytearray] | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def begin(self, field: CommandField, context_id: int) -> Invocation:
        """Reserve a place in the window, waiting for one, and a message ID."""
        while self._account.is_full and self._failure is None:
            self._room = self._room or anyio.Event()
            await self._room.wait()
        if self._failure is not None:
            raise self._failure
        invocation = Invocation(self._account.invoke(field), context_id)
        self._open[invocation.message_id] = invocation
        return invocation

    def withdraw(self, invocation: Invocation) -> None:
        """Give back the place and the message ID of a request that was not sent."""
        self._account.withdraw(invocation.message_id)
        if invocation.observation is not None:
            invocation.observation.end(None)
        self._open.pop(invocation.message_id, None)
        self._make_room()

    def respond(self, context_id: int, response: Command) -> None:
        """Take a response; its dataset, if any, follows through :meth:`feed`.

        Raises
        ------
        DimseProtocolViolation
            It answers nothing that is outstanding.
        """
        invocation = self._open.get(response.message_id_being_responded_to or 0)
        final = self._account.settle(response)
        if invocation is None or invocation.context_id != context_id:
            raise DimseProtocolViolation(
                f"{response.field.name} in presentation context {context_id}, not that of its "
                "request"
            )
        if final:
            del self._open[invocation.message_id]
            self._make_room()
        if response.has_dataset:
            self._responding = response, invocation, bytearray()
        else:
            invocation.add(response, None)

    def feed(self, data: bytes | memoryview, is_last: bool) -> None:
        """Take a fragment of the last response's dataset."""
        if self._responding is None:
            raise DimseProtocolViolation("data set fragment without a response")
        response, invocation, dataset = self._responding
        dataset += data
        if len(dataset) > MAX_RESPONSE_DATASET:
            raise DimseProtocolViolation(
                f"{response.field.name} with a data set of more than {MAX_RESPONSE_DATASET} bytes"
            )
        if is_last:
            self._responding = None
            invocation.add(response, bytes(dataset))

    @property
    def is_full(self) -> bool:
        """Whether some request has too many responses that nobody took."""
        return any(invocation.is_full for invocation in self._open.values())

    async def wait_for_room(self) -> None:
        """Wait until no request has too many responses that nobody took."""
        for invocation in tuple(self._open.values()):
            await invocation.wait_for_room()

    async def wait_for_all(self) -> None:
        """Wait until nothing is outstanding."""
        while self._open and self._failure is None:
            self._room = self._room or anyio.Event()
            await self._room.wait()

    def fail(self, failure: AssociationError) -> None:
        """Let every outstanding request fail, and every later one."""
        self._failure = failure
        for invocation in self._open.values():
            invocation.fail(failure)
        self._make_room()

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None
