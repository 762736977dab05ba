"""The requests of the peer that this side works on, each in a task of its own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from anyio.abc import TaskGroup

from pacs_core.association.budget import ByteBudget
from pacs_core.association.errors import AssociationError
from pacs_core.association.incoming import IncomingDataset
from pacs_core.association.observation import Observation, begin_observation
from pacs_core.association.operation import Messenger, PeerOperation
from pacs_core.concurrency import Signal, is_failure
from pacs_core.contracts import AssociationInfo, OperationObservers, Response
from pacs_core.dimse import (
    Command,
    DimseError,
    DimseProtocolViolation,
    RequestedOperations,
    Status,
)

# Theory of operation
#
# The peer's requests are performed in tasks, so that the reader is free for what may come
# meanwhile: the rest of the dataset, C-CANCEL, A-ABORT. A request passes these stations:
#
#   begin     the account checks the message ID; a queue for the dataset is made
#   _perform  a task calls the service provider, once there is enough of the dataset
#   _respond  exactly one final response, whatever the provider returned or raised
#   finish    the place in the window is free, memory goes back to the budget
#
# Every exception becomes a status (the one table, `dimse_error_of`), and an unknown one 0110H with
# a comment that says nothing: the peer's user can do nothing with the name of an exception. A
# response that cannot be encoded becomes 0110H as well, or the peer would wait for ever.
#
# A task that has performed a request does not end but waits for another, since making a task costs
# more than handing a request to one. Which one gets the next does not matter.
#
# The window that was negotiated (PS3.7 D.3.3.3) is enforced gently, by not reading on between
# messages, since a peer may have sent more before it knew. Far beyond it (_PATIENCE) it is an
# attack.

logger = logging.getLogger(__name__)

Serve = Callable[[PeerOperation], Awaitable[Response]]
Feed = Callable[[bytes | memoryview, bool], None]

_PATIENCE = 16  # requests beyond the window that are tolerated before it counts as an attack
_UNLIMITED = 256  # operations at once where the window is unlimited


class Performer:
    """Performs requests, and sees that each gets one final response.

    Parameters
    ----------
    info : AssociationInfo
    window : int
        Requests to perform at once; 0 for no limit (PS3.7 D.3.3.3).
    serve : callable
        Performs a request and returns the response.
    budget : ByteBudget
        Memory for datasets that arrive.
    messenger : Messenger
        Sends the responses.
    settled : callable
        Called whenever a request has been answered.
    observers : OperationObservers, optional
        Are told of requests.

    Attributes
    ----------
    tasks : TaskGroup
        Where requests are performed; to be set before the first one.
    incoming : IncomingDataset or None
        The dataset of the latest request.
    """

    tasks: TaskGroup

    def __init__(
        self,
        info: AssociationInfo,
        window: int,
        serve: Serve,
        budget: ByteBudget,
        messenger: Messenger,
        settled: Callable[[], None],
        observers: OperationObservers | None = None,
    ) -> None:
        self.incoming: IncomingDataset | None = None
        self._arriving: PeerOperation | None = None
        self._info = info
        self._window = window or _UNLIMITED
        self._serve = serve
        self._budget = budget
        self._messenger = messenger
        self._settled = settled
        self._observers = OperationObservers() if observers is None else observers
        self._observations: dict[int, Observation] = {}
        self._account = RequestedOperations(0)
        self._refusals = self._failures = 0
        self._slot = Signal()
        self._idle: list[asyncio.Future[PeerOperation]] = []

    def __len__(self) -> int:
        return len(self._account)

    # --- what arrives

    def begin(self, context_id: int, command: Command) -> Feed:
        """Begin to perform a request; return what takes its dataset.

        Raises
        ------
        DimseProtocolViolation
            The peer asks for far more at once than was negotiated.
        """
        if len(self._account) >= self._window + _PATIENCE:
            raise DimseProtocolViolation(
                f"{len(self._account)} operations at once, {self._window} were negotiated"
            )
        try:
            self._account.begin(command)
        except DimseError as error:
            return self.refuse(context_id, command, error)
        context = self._info.contexts[context_id]

        dataset = self.incoming = IncomingDataset(self._budget)
        self._arriving = PeerOperation(command, context, self._info, dataset, self._messenger)
        if not command.has_dataset:
            dataset.complete()
            self._assign_arrived()

        def feed(data: bytes | memoryview, is_last: bool) -> None:
            dataset.feed(data, is_last)
            if self._arriving is not None and dataset.is_ready:
                self._assign_arrived()

        return feed

    async def await_budget(self, seconds: float) -> None:
        """Wait for the memory of the dataset that arrives, see :class:`IncomingDataset`."""
        if self.incoming is not None:
            await self.incoming.await_budget(seconds)
            if self.incoming.is_ready:
                self._assign_arrived()

    def end(self) -> None:
        """Give up the request in which the association has ended, if nobody performs it yet."""
        if self._arriving is not None:
            self._arriving.dataset.release_budget()
            self._arriving = None

    def refuse(self, context_id: int, command: Command, error: DimseError) -> Feed:
        """Answer a request that is not performed; return what drops its dataset."""
        self._complain(command, error)
        self._refusals += 1
        self.tasks.start_soon(self._send_refusal, context_id, command, error)
        return discard

    def cancel(self, request: Command) -> None:
        """Take note of a C-CANCEL; one that comes too late means nothing (PS3.7 §9.3.2.3)."""
        self._account.cancel(request)

    def is_cancelled(self, message_id: int) -> bool:
        """Whether the peer asked for an operation to be cancelled."""
        return self._account.is_cancelled(message_id)

    # --- holding back

    def is_overtaxed(self, *, between_messages: bool) -> bool:
        """Whether the peer asks for more at once than it may."""
        operations = len(self._account) > self._window and between_messages
        return operations or self._refusals > _PATIENCE

    async def wait_for_slot(self) -> None:
        """Wait until something was answered, or :meth:`wake` was called."""
        await self._slot.wait()

    def wake(self) -> None:
        """Let who waits for a slot look again."""
        self._slot.set()

    # --- performing

    def _assign_arrived(self) -> None:
        """Let a task that is idle perform what has arrived: a new one would cost more."""
        operation, self._arriving = self._arriving, None
        if operation is None:
            return
        if self._idle:
            self._idle.pop().set_result(operation)
        else:
            self.tasks.start_soon(self._work, operation)

    async def _work(self, operation: PeerOperation) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._perform(operation)
            self._idle.append(loop.create_future())
            operation = await self._idle[-1]

    async def _perform(self, operation: PeerOperation) -> None:
        status, observation = None, self._observe(operation)
        try:
            response = await self._outcome(operation)
            await operation.dataset.discard()
            await self._respond(operation.context.id, operation.command, response)
            status = response.status
        finally:
            if observation is not None:
                self._end(observation, operation, status)
            operation.dataset.release_budget()
            self._account.finish(operation.command.message_id or 0)
            self._slot.set()
            self._settled()

    def _observe(self, operation: PeerOperation) -> Observation | None:
        if not self._observers:
            return None
        command = operation.command
        observation = begin_observation(self._observers, self._info, command, is_invoked_here=False)
        self._observations[command.message_id or 0] = observation
        return observation

    def _end(self, observation: Observation, operation: PeerOperation, status: int | None) -> None:
        self._observations.pop(operation.command.message_id or 0, None)
        observation.received = operation.dataset.received
        observation.end(status)

    def count_sent(self, request: Command, dataset: bytes) -> None:
        """Take account of a response's dataset, if the request is observed."""
        if self._observations:
            observation = self._observations.get(request.message_id or 0)
            if observation is not None:
                observation.sent += len(dataset)

    async def _outcome(self, operation: PeerOperation) -> Response:
        try:
            return await self._serve(operation)
        except DimseError as error:
            self._complain(operation.command, error)
            return _failure_response(error)
        except AssociationError as error:
            # The end of this association is no fault of the provider; that of another may be.
            what = operation.command.field.name
            logger.debug("%s: %s failed: %s", self._info.id, what, error)
            return _internal_error()
        except BaseException as error:
            if not is_failure(error):
                raise
            from pacs_core.contracts import dimse_error_of  # it knows errors of every service

            known = dimse_error_of(error, operation.command.field)
            if known is not None:
                self._complain(operation.command, known)
                return _failure_response(known)
            what = operation.command.field.name
            logger.exception("%s: %s failed, the peer gets 0110H", self._info.id, what)
            return _internal_error()

    async def _respond(self, context_id: int, command: Command, response: Response) -> None:
        with suppress(AssociationError):
            try:
                await self._messenger.send_response(context_id, command, response)
            except ValueError:
                what = command.field.name
                logger.exception("%s: no valid answer to %s, it is 0110H", self._info.id, what)
                await self._messenger.send_response(context_id, command, _internal_error())

    async def _send_refusal(self, context_id: int, command: Command, error: DimseError) -> None:
        await self._respond(context_id, command, _failure_response(error))
        self._refusals -= 1
        self._slot.set()

    def _complain(self, command: Command, error: DimseError) -> None:
        """Log a failure; a peer that makes many does not get to fill the log."""
        self._failures += 1
        level = logging.WARNING if self._failures <= _PATIENCE else logging.DEBUG
        logger.log(level, "%s: %s: %s", self._info.id, command.field.name, error)


def _failure_response(error: DimseError) -> Response:
    return Response(error.status, comment=error.comment, offending_element=error.offending_element)


def _internal_error() -> Response:
    # The peer's user can do nothing with the name of an exception.
    comment = "internal error: the log of this node has the reason"
    return Response(Status.PROCESSING_FAILURE, comment=comment)


def discard(_data: bytes | memoryview, _is_last: bool) -> None:
    """Drop a fragment of a dataset that nobody wants."""
