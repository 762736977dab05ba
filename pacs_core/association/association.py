"""An association that this side requested: every DIMSE service as a method."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, overload

import anyio
from attrs import evolve

from pacs_core.association.engine import Engine
from pacs_core.association.errors import AssociationError, NoContextError
from pacs_core.association.exchange import (
    AttributesOrDataset,
    decode,
    encode,
    event_report,
    exchange,
    find_context,
)
from pacs_core.association.invoker import Invocation
from pacs_core.association.operation import PeerOperation, store_request
from pacs_core.association.performer import Serve
from pacs_core.association.sender import DatasetSource
from pacs_core.contracts import AssociationInfo, RequestedAssociation, Response
from pacs_core.dataset import (
    Attributes,
    DatasetT,
    encode_dataset,
    encoding_of,
    has_encapsulated_pixels,
    is_pydicom_dataset,
    transfer_syntax_of,
)
from pacs_core.dimse import (
    Command,
    CommandField,
    DimseError,
    Priority,
    Status,
    StatusCategory,
    category,
)
from pacs_core.upper_layer import AcceptedContext

if TYPE_CHECKING:
    from pydicom import Dataset

# Theory of operation
#
# Each service is a method that makes a command and hands it to the engine. Two shapes cover all:
# one response (`_call`, `_exchange`), and several of which all but the last are pending
# (`_converse`).
#
# A generator that its caller leaves early means that the caller wants no more: a C-CANCEL-RQ is
# sent, and what still comes is let pass by, without waiting for it. The association stays usable,
# and the next request waits for the final response where the window demands it. The cancel is
# shielded, as leaving may be a cancellation itself, but for a second only: the peer may not be
# reading.
#
# C-GET is the one service in which the peer sends requests back. They come on this association and
# are served by the function that was given last, hence one C-GET at a time.

VERIFICATION = "1.2.840.10008.1.1"

_CANCEL_GRACE = 1.0  # seconds for a C-CANCEL-RQ to leave when the peer may not be reading

Receive = Callable[[PeerOperation], Awaitable[int]]
"""Takes a C-STORE sub-operation of a C-GET: reads ``operation.dataset``, returns a status."""


async def refuse_requests(operation: PeerOperation) -> Response:
    """Refuse whatever the peer requests: this side offers no service."""
    raise DimseError(
        Status.SOP_CLASS_NOT_SUPPORTED, f"no service for {operation.context.abstract_syntax}"
    )


class Association(RequestedAssociation):
    """An association from :func:`connect`; see base for what its methods do."""

    engine: Engine

    def __init__(
        self, info: AssociationInfo, serve: Serve, character_set: tuple[str, ...] = ()
    ) -> None:
        self.info = info
        self._character_set = character_set
        self._serve_others = serve
        self._receive: Receive | None = None

    @property
    def contexts(self) -> Mapping[int, AcceptedContext]:
        """See base."""
        return self.info.contexts

    def context(
        self, sop_class_uid: str, transfer_syntax_uid: str | None = None, *, scp: bool = False
    ) -> AcceptedContext:
        """See base."""
        return find_context(
            self.contexts,
            sop_class_uid,
            requestor_is_scu=not scp,
            transfer_syntax_uid=transfer_syntax_uid,
        )

    async def serve(self, operation: PeerOperation) -> Response:
        """Answer a request of the peer; the engine calls this."""
        field, context = operation.command.field, operation.context
        if field is CommandField.C_STORE_RQ and self._receive is not None and context.scp:
            return Response(await self._receive(operation))
        has_role = context.scu if field.is_sent_by_scp else context.scp
        if not has_role and self._serve_others is not refuse_requests:
            role = "SCU" if field.is_sent_by_scp else "SCP"
            raise DimseError(
                Status.UNRECOGNIZED_OPERATION,
                f"the requestor is not {role} of {context.abstract_syntax} (PS3.7 D.3.3.4)",
            )
        return await self._serve_others(operation)

    async def abort(self, reason: str = "requested") -> None:
        """See base."""
        await self.engine.abort(reason)

    # --- DIMSE-C (PS3.7 §9)

    async def c_echo(self) -> Command:
        """See base."""
        command = Command(field=CommandField.C_ECHO_RQ, affected_sop_class_uid=VERIFICATION)
        response, _ = await self._call(self.context(VERIFICATION), command)
        return response

    async def c_store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "DatasetSource | Dataset",
        *,
        context_id: int | None = None,
        transfer_syntax_uid: str | None = None,
        priority: int = Priority.MEDIUM,
        move_originator: tuple[str, int] | None = None,
    ) -> Command:
        """See base."""
        wait = await self.begin_c_store(
            sop_class_uid,
            sop_instance_uid,
            dataset,
            context_id=context_id,
            transfer_syntax_uid=transfer_syntax_uid,
            priority=priority,
            move_originator=move_originator,
        )
        return await wait()

    @property
    def window(self) -> int:
        """See base."""
        return self.engine.window

    async def begin_c_store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "DatasetSource | Dataset",
        *,
        context_id: int | None = None,
        transfer_syntax_uid: str | None = None,
        priority: int = Priority.MEDIUM,
        move_originator: tuple[str, int] | None = None,
    ) -> Callable[[], Awaitable[Command]]:
        """See base."""
        if context_id is not None:
            context = self.contexts[context_id]
        elif is_pydicom_dataset(dataset) and transfer_syntax_uid is None:
            context = self._context_for(sop_class_uid, dataset)
        else:
            context = self.context(sop_class_uid, transfer_syntax_uid)
        if is_pydicom_dataset(dataset):
            dataset = encode_dataset(dataset, context.transfer_syntax)
        command = store_request(
            sop_class_uid, sop_instance_uid, priority=priority, move_originator=move_originator
        )
        invocation = await self.engine.invoke(context.id, command, dataset)

        async def wait() -> Command:
            return (await invocation.response())[0]

        return wait

    def c_find(
        self, sop_class_uid: str, identifier: DatasetT, *, priority: int = Priority.MEDIUM
    ) -> AsyncGenerator[tuple[Command, DatasetT | None], None]:
        """See base."""
        command = Command(
            field=CommandField.C_FIND_RQ,
            affected_sop_class_uid=sop_class_uid,
            priority=priority,
            has_dataset=True,
        )
        return self._converse(command, identifier)

    def c_move(
        self,
        sop_class_uid: str,
        identifier: DatasetT,
        destination: str,
        *,
        priority: int = Priority.MEDIUM,
    ) -> AsyncGenerator[tuple[Command, DatasetT | None], None]:
        """See base."""
        command = Command(
            field=CommandField.C_MOVE_RQ,
            affected_sop_class_uid=sop_class_uid,
            priority=priority,
            move_destination=destination,
            has_dataset=True,
        )
        return self._converse(command, identifier)

    def c_get(
        self,
        sop_class_uid: str,
        identifier: DatasetT,
        receive: Receive,
        *,
        priority: int = Priority.MEDIUM,
    ) -> AsyncGenerator[tuple[Command, DatasetT | None], None]:
        """See base."""
        command = Command(
            field=CommandField.C_GET_RQ,
            affected_sop_class_uid=sop_class_uid,
            priority=priority,
            has_dataset=True,
        )
        self._receive = receive
        return self._converse(command, identifier)

    # --- DIMSE-N (PS3.7 §10)
    # (mypy takes an optional constrained type variable for another than itself.)

    async def n_event_report(  # type: ignore[override]
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        information: DatasetT | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, DatasetT | None]:
        """See base."""
        command = event_report(sop_class_uid, sop_instance_uid, event_type_id)
        return await self._exchange(command, information, negotiated_as or sop_class_uid)

    async def n_create(  # type: ignore[override]
        self,
        sop_class_uid: str,
        sop_instance_uid: str | None = None,
        attributes: DatasetT | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, DatasetT | None]:
        """See base."""
        command = Command(
            field=CommandField.N_CREATE_RQ,
            affected_sop_class_uid=sop_class_uid,
            affected_sop_instance_uid=sop_instance_uid,
        )
        return await self._exchange(command, attributes, negotiated_as or sop_class_uid)

    @overload
    async def n_get(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        tags: tuple[int, ...] = (),
        *,
        negotiated_as: str | None = None,
        as_dataset: Literal[False] = False,
    ) -> tuple[Command, Attributes | None]: ...

    @overload
    async def n_get(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        tags: tuple[int, ...] = (),
        *,
        negotiated_as: str | None = None,
        as_dataset: Literal[True],
    ) -> "tuple[Command, Dataset | None]": ...

    async def n_get(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        tags: tuple[int, ...] = (),
        *,
        negotiated_as: str | None = None,
        as_dataset: bool = False,
    ) -> tuple[Command, AttributesOrDataset | None]:
        """See base."""
        request = _request(CommandField.N_GET_RQ, sop_class_uid, sop_instance_uid)
        command = evolve(request, attribute_identifier_list=tags)
        return await self._exchange(
            command, None, negotiated_as or sop_class_uid, as_dataset=as_dataset
        )

    async def n_set(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        attributes: DatasetT,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, DatasetT | None]:
        """See base."""
        command = _request(CommandField.N_SET_RQ, sop_class_uid, sop_instance_uid)
        return await self._exchange(command, attributes, negotiated_as or sop_class_uid)

    async def n_action(  # type: ignore[override]
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        action_type_id: int,
        information: DatasetT | None = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, DatasetT | None]:
        """See base."""
        request = _request(CommandField.N_ACTION_RQ, sop_class_uid, sop_instance_uid)
        command = evolve(request, action_type_id=action_type_id)
        return await self._exchange(command, information, negotiated_as or sop_class_uid)

    async def n_delete(
        self, sop_class_uid: str, sop_instance_uid: str, *, negotiated_as: str | None = None
    ) -> tuple[Command, Attributes | None]:
        """See base."""
        command = _request(CommandField.N_DELETE_RQ, sop_class_uid, sop_instance_uid)
        return await self._exchange(command, None, negotiated_as or sop_class_uid)

    # --- common to all

    def _context_for(self, sop_class_uid: str, dataset: "Dataset") -> AcceptedContext:
        """Return a context in which a dataset can be sent as it is."""
        own = transfer_syntax_of(dataset)
        if own is None and "PixelData" not in dataset:
            return self.context(sop_class_uid)
        with suppress(NoContextError):
            return self.context(sop_class_uid, own)
        if not has_encapsulated_pixels(dataset):
            for context in self.contexts.values():
                is_native = not encoding_of(context.transfer_syntax).encapsulated
                if context.abstract_syntax == sop_class_uid and context.scu and is_native:
                    return context
        return self.context(sop_class_uid, own)

    async def _exchange(
        self,
        command: Command,
        attributes: AttributesOrDataset | None,
        abstract_syntax: str,
        *,
        as_dataset: bool = False,
    ) -> tuple[Command, Any]:
        context = self.context(abstract_syntax, scp=command.field.is_sent_by_scp)
        return await exchange(
            self.engine, context, command, attributes, self._character_set, as_dataset=as_dataset
        )

    async def _call(
        self, context: AcceptedContext, command: Command, dataset: DatasetSource | None = None
    ) -> tuple[Command, bytes | None]:
        invocation = await self.engine.invoke(context.id, command, dataset)
        return await invocation.response()

    async def _converse(
        self, command: Command, identifier: DatasetT
    ) -> AsyncGenerator[tuple[Command, DatasetT | None], None]:
        context = self.context(command.affected_sop_class_uid or "")
        dataset = encode(identifier, context, self._character_set)
        as_dataset = is_pydicom_dataset(identifier)
        invocation = await self.engine.invoke(context.id, command, dataset)
        final = False
        try:
            while not final:
                response, answer = await invocation.response()
                final = category(response.status or 0) is not StatusCategory.PENDING
                decoded: Any = decode(answer, context, self._character_set, as_dataset=as_dataset)
                yield response, decoded
        finally:
            if not final and not self.engine.end_reason:
                await self._cancel(invocation)

    async def _cancel(self, invocation: Invocation) -> None:
        """Ask the peer to stop, and let pass by what it sends until it does.

        Also where the caller itself is cancelled; later requests wait for the final response.
        """
        invocation.abandon()
        with suppress(AssociationError), anyio.move_on_after(_CANCEL_GRACE, shield=True):
            await self.engine.cancel(invocation)


def _request(field: CommandField, sop_class_uid: str, sop_instance_uid: str) -> Command:
    return Command(
        field=field,
        requested_sop_class_uid=sop_class_uid,
        requested_sop_instance_uid=sop_instance_uid,
    )
