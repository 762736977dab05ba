"""An established association, of either role: messages in, messages out.

One reader takes what the peer sends apart: requests go to a task each, which performs them;
responses go to whoever awaits them. The first thing that goes wrong ends this association and
nothing else.
"""

import logging
from contextlib import suppress

import anyio
from anyio.lowlevel import checkpoint_if_cancelled
from attrs import evolve

from pacs_core.association.budget import ByteBudget
from pacs_core.association.channel import Channel
from pacs_core.association.errors import (
    AssociationAbortedError,
    AssociationError,
    PeerTimeoutError,
)
from pacs_core.association.hosts import TokenBucket
from pacs_core.association.invoker import Invocation, Invoker
from pacs_core.association.observation import begin_observation
from pacs_core.association.performer import Feed, Performer, Serve, discard
from pacs_core.association.read_control import ReadControl
from pacs_core.association.sender import (
    DatasetSource,
    MessageWriter,
    request_command,
    response_command,
)
from pacs_core.contracts import AssociationInfo, OperationObservers, Response
from pacs_core.dataset import encode_dataset
from pacs_core.dimse import (
    Command,
    CommandField,
    CommandInvalid,
    CommandReceived,
    DatasetFragment,
    DimseProtocolViolation,
    MessageAssembler,
    StatusCategory,
    category,
)
from pacs_core.upper_layer import (
    Aborted,
    AbortReason,
    AbortSource,
    AsynchronousOperations,
    ConnectionClosed,
    DataReceived,
    Event,
    LocalProtocolError,
    Released,
    ReleaseRequested,
    Role,
    State,
)

# Theory of operation
#
# The engine begins when an association is established (Sta6), for either role, and runs in one
# task until it has ended. That task reads: it is the only one that does.
#
#   run ─┬─ deadlines.watch     sleeps until the earliest deadline, which read or write may miss
#        ├─ _converse           receive → events → messages, until the association ends
#        ├─ performing tasks    one for each request of the peer (`Performer`)
#        └─ callers' tasks      those that await responses to requests of ours (`Invoker`)
#
# A message is taken apart while it arrives. The command decides what takes the dataset that
# follows (`_feed`): the queue of a request, that of a response, or nothing (`discard`). A command
# that is refused needs its dataset discarded too, or the next message would begin in it.
#
# The reader never awaits a service provider. It awaits room (`ReadControl.hold_back`): in the
# queue of the dataset that arrives, in the node's memory, for another request. Then TCP holds the
# peer back. So memory is bounded, and an A-ABORT is heard at the latest when there is room.
#
# Sending is done by whichever task has something to say: `MessageWriter` sees that messages do not
# interleave, and `Channel` that PDUs do not. A message that was begun and cannot be completed
# leaves the peer amid a dataset that will never end: that is an abort.
#
# The end has many causes (release, abort, a lost transport, a deadline, a violation) and one way:
# `_end` notes the first reason, fails whoever waits for a response, and cancels the conversation.
# Then the performing tasks are cancelled, in Sta13 the peer gets ARTIM to close the transport, and
# what is left to send is sent for a moment. `run` raises nothing but cancellation: an association
# that fails takes no other with it.
#
# Deliberately absent: retries. Whether an operation may be repeated is for its caller to know.

logger = logging.getLogger(__name__)


class Engine:
    """Runs one association after its negotiation.

    Parameters
    ----------
    channel : Channel
        Whose machine is in Sta6.
    info : AssociationInfo
    window : AsynchronousOperations
        What this side may invoke, and what it performs at once.
    serve : callable
        Performs a request and returns the response.
    budget : ByteBudget
        Memory for datasets that arrive.
    pace : TokenBucket, optional
        At which requests are read; shared by the associations of a host.
    observers : OperationObservers, optional
        Are told of operations.

    Attributes
    ----------
    end_reason : str
        Why the association ended; empty while it lasts.
    failure : AssociationError or None
        What those who still wait for something are told.
    window : int
        Requests of this side that may be outstanding at once; 0 for no limit.
    """

    def __init__(
        self,
        channel: Channel,
        info: AssociationInfo,
        window: AsynchronousOperations,
        serve: Serve,
        budget: ByteBudget,
        pace: TokenBucket | None = None,
        observers: OperationObservers | None = None,
    ) -> None:
        self.info = info
        self.end_reason = ""
        self.failure: AssociationError | None = None
        self.ended = anyio.Event()
        self._channel = channel
        self._machine = channel.machine
        self._deadlines = channel.deadlines
        self._sender = MessageWriter(channel)
        self._assembler = MessageAssembler()
        self._performer = Performer(
            info, window.max_performed, serve, budget, self, self._on_answered, observers
        )
        self._observers = OperationObservers() if observers is None else observers
        self.window = window.max_invoked
        self._invoker = Invoker(window.max_invoked)
        self._reading = ReadControl(channel, self._assembler, self._performer, self._invoker, pace)
        self._feed: Feed = discard
        self._requests = 0
        self._conversation = anyio.CancelScope()

    # --- the life of the association

    async def run(self) -> None:
        """Read until the association ends. Raises nothing but cancellation."""
        try:
            async with anyio.create_task_group() as watching:
                watching.start_soon(self._deadlines.watch, self._on_deadline)
                async with anyio.create_task_group() as self._performer.tasks:
                    with self._conversation:
                        await self._converse()
                    self._performer.tasks.cancel_scope.cancel()
                # In Sta13 the peer closes the transport, and has a while for it (PS3.8 §9.2).
                if self._machine.artim_running:
                    self._deadlines.set("read", self._channel.timeouts.artim)
                while not self._machine.must_close:
                    with suppress(anyio.BrokenResourceError):
                        await self._channel.receive()
                watching.cancel_scope.cancel()
        finally:
            self._performer.end()
            self._end("torn down by this node")
            with suppress(LocalProtocolError):  # where nobody is left to be told
                self._machine.abort()
            await self._channel.close_gracefully()
            self.ended.set()

    async def _converse(self) -> None:
        with suppress(anyio.BrokenResourceError):  # then reading finds the end
            await self._channel.flush()
        self._reading.set_deadline()
        while not self._machine.must_close:
            try:
                events = await self._channel.receive()
                for event in events:
                    await self._on_event(event)
            except DimseProtocolViolation as violation:
                await self.abort(
                    str(violation),
                    source=AbortSource.SERVICE_PROVIDER,
                    code=AbortReason.INVALID_PDU_PARAMETER_VALUE,
                    linger=True,
                )
            except anyio.BrokenResourceError:
                self._end("the transport connection was lost")
            else:
                if events:
                    requests, self._requests = self._requests, 0
                    await self._reading.hold_back(requests)
                    self._reading.set_deadline()

    def _end(self, reason: str, failure: AssociationError | None = None) -> None:
        """Let everything end that belongs to this association; the first reason counts."""
        if self.end_reason:
            return
        self.end_reason = reason
        self.failure = failure or AssociationAbortedError(f"the association ended: {reason}")
        self._invoker.fail(self.failure)
        self._conversation.cancel()

    async def _on_deadline(self, name: str) -> None:
        if self._machine.artim_running:
            self._machine.artim_expired()
            self._channel.close()
            return
        what = {"read": "said nothing", "write": "took nothing"}[name]
        reason = f"the peer {what} for too long"
        await self.abort(
            reason, source=AbortSource.SERVICE_PROVIDER, failure=PeerTimeoutError(reason)
        )

    # --- what the peer says

    async def _on_event(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            for pdv in event.pdvs:
                for part in self._assembler.feed(pdv):
                    self._on_message(part)
        elif isinstance(event, ReleaseRequested):
            await self._on_release_requested(event)
        elif isinstance(event, Released):
            if event.response_due:
                self._machine.respond_release()
                await self._channel.flush()
            self._end("released by this node")
        elif isinstance(event, Aborted):
            by = "the peer" if event.by_peer else "this node"
            codes = f"source {event.source}, reason {event.reason}"
            self._end(f"aborted by {by} ({codes})" + (event.detail and f": {event.detail}"))
        elif isinstance(event, ConnectionClosed):
            why = f": TLS: {self._channel.failure}" if self._channel.failure else ""
            self._end(f"the transport connection was lost{why}")

    async def _on_release_requested(self, event: ReleaseRequested) -> None:
        if event.collision and self._machine.role is Role.ACCEPTOR:
            return  # the answer is due after the peer's (PS3.8 §7.2.2)
        try:
            self._machine.respond_release()
        except LocalProtocolError:
            return  # what came along with it has ended the association: the next event says how
        await self._channel.flush()
        if not event.collision:
            self._end("released by the peer")

    def _on_message(self, part: CommandReceived | CommandInvalid | DatasetFragment) -> None:
        if isinstance(part, DatasetFragment):
            self._feed(part.data, part.is_last)
            return
        self._feed = discard
        if part.context_id not in self.info.contexts:
            raise DimseProtocolViolation(
                f"message in presentation context {part.context_id}, which was not accepted"
            )
        if isinstance(part, CommandInvalid):
            error = part.error
            self._feed = self._performer.refuse(part.context_id, error.command, error)
        elif part.command.is_response:
            self._invoker.respond(part.context_id, part.command)
            self._feed = self._invoker.feed
        elif part.command.field is CommandField.C_CANCEL_RQ:
            self._performer.cancel(part.command)
        else:
            self._requests += 1
            self._feed = self._performer.begin(part.context_id, part.command)

    def _on_answered(self) -> None:
        if self._assembler.is_idle:
            self._reading.set_deadline()

    def is_cancelled(self, message_id: int) -> bool:
        """Whether the peer asked for an operation to be cancelled."""
        return self._performer.is_cancelled(message_id)

    # --- sending

    async def send_response(self, context_id: int, request: Command, response: Response) -> None:
        """Send a pending or final response to a request.

        Raises
        ------
        AssociationError
            The association has ended.
        ValueError
            The command or the dataset cannot be encoded; nothing was sent.
        """
        pending = category(response.status) is StatusCategory.PENDING
        dataset = response.dataset
        if not (dataset is None or isinstance(dataset, bytes)):
            syntax = self.info.contexts[context_id].transfer_syntax
            dataset = encode_dataset(dataset, syntax) or None  # an empty one is none
        command = response_command(request, response, has_dataset=dataset is not None)
        if dataset is not None:
            self._performer.count_sent(request, dataset)
        await self.send(context_id, command, dataset, more_follows=pending)

    async def send(
        self,
        context_id: int,
        command: Command | bytes,
        dataset: DatasetSource | None = None,
        *,
        more_follows: bool = False,
    ) -> None:
        """Send a message; one that is cut short ends the association.

        Raises
        ------
        AssociationError
            The association has ended.
        ValueError
            The command cannot be encoded; nothing was sent.
        """
        try:
            await self._sender.send(context_id, command, dataset, more_follows=more_follows)
        except AssociationError as error:
            self._end(str(error), error)
            raise (self.failure or error) from error
        except LocalProtocolError as error:
            failure = AssociationAbortedError(str(error))
            if self._machine.state is State.Sta6:
                await self.abort(str(error), failure=failure)
            raise (self.failure or failure) from error
        finally:
            if self._sender.is_broken and not self.end_reason:
                await self.abort("a message could not be sent to its end")

    async def invoke(
        self, context_id: int, command: Command, dataset: DatasetSource | None = None
    ) -> Invocation:
        """Send a request, under a new message ID; return where its responses arrive."""
        await checkpoint_if_cancelled()  # for what is not begun need not be aborted
        invocation = await self._invoker.begin(command.field, context_id)
        self._performer.wake()
        self._deadlines.clear("read")
        if self._observers:
            invocation.observation = begin_observation(
                self._observers,
                self.info,
                evolve(command, message_id=invocation.message_id),
                is_invoked_here=True,
            )
            dataset = invocation.observation.count(dataset)
        try:
            request = request_command(command, invocation.message_id)
            await self.send(context_id, request, dataset)
        except BaseException:
            self._invoker.withdraw(invocation)
            raise
        finally:
            self._reading.set_deadline()
        return invocation

    async def cancel(self, invocation: Invocation) -> None:
        """Ask the peer to cancel a request of ours (PS3.7 §9.3.2.3)."""
        command = Command(
            field=CommandField.C_CANCEL_RQ,
            message_id_being_responded_to=invocation.message_id,
        )
        await self.send(invocation.context_id, command)

    # --- ending

    async def release(self) -> None:
        """Release the association in order (PS3.8 §7.2); waits for the peer's agreement.

        What is outstanding, such as a query that was cancelled, is waited for. A peer that does
        not agree in time is aborted, which is no error: all that was asked has been answered.
        """
        await self._invoker.wait_for_all()
        if self._machine.state is State.Sta6 and not self.end_reason:
            self._machine.release()
            self._reading.set_deadline()
            try:
                await self._channel.flush()
            except anyio.BrokenResourceError:
                self._end("the transport connection was lost")
        await self.ended.wait()

    async def abort(
        self,
        reason: str,
        *,
        source: int = AbortSource.SERVICE_USER,
        code: int = 0,
        failure: AssociationError | None = None,
        linger: bool = False,
    ) -> None:
        """Send an A-ABORT, if there is still somebody to send it to, and end.

        To close at once, with data unread, may cost the peer the A-ABORT: with `linger` the peer
        is to close, as PS3.8 Table 9-10 wants it (Sta13).
        """
        self._end(f"aborted by this node: {reason}", failure)
        with suppress(LocalProtocolError):
            self._machine.abort(source, code)
        await self._channel.close_gracefully(close=not linger)
