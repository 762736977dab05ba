"""One request that this side performs, as its service provider sees it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from pacs_core.association.exchange import MessageSender, event_report, exchange, find_context
from pacs_core.association.incoming import IncomingDataset
from pacs_core.association.sender import DatasetSource
from pacs_core.contracts import AssociationInfo, Link, Operation, Response
from pacs_core.dataset import Attributes, encode_dataset, is_pydicom_dataset
from pacs_core.dimse import Command, CommandField, Priority
from pacs_core.upper_layer import AcceptedContext

if TYPE_CHECKING:
    from pydicom import Dataset


class Messenger(MessageSender, Protocol):
    """The engine of an association, as an operation sees it."""

    window: int

    def is_cancelled(self, message_id: int) -> bool:
        """Whether the peer asked for the operation to be cancelled."""

    async def send_response(self, context_id: int, request: Command, response: Response) -> None:
        """Send a response."""


class RequestorLink(Link):
    """The way back to the requestor.

    Parameters
    ----------
    association : AssociationInfo
    sender : MessageSender
    """

    def __init__(self, association: AssociationInfo, sender: MessageSender) -> None:
        self.association = association
        self._sender = sender

    @property
    def has_ended(self) -> bool:
        """Whether the association is over."""
        return bool(self._sender.end_reason)

    async def n_event_report(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type_id: int,
        information: "Attributes | Dataset | None" = None,
        *,
        negotiated_as: str | None = None,
    ) -> tuple[Command, Any]:
        """See base."""
        context = find_context(
            self.association.contexts, negotiated_as or sop_class_uid, requestor_is_scu=True
        )
        command = event_report(sop_class_uid, sop_instance_uid, event_type_id)
        return await exchange(self._sender, context, command, information)


class PeerOperation(Operation):
    """A request that arrived on an association."""

    dataset: IncomingDataset

    def __init__(
        self,
        command: Command,
        context: AcceptedContext,
        association: AssociationInfo,
        dataset: IncomingDataset,
        messenger: Messenger,
    ) -> None:
        self.command = command
        self.context = context
        self.association = association
        self.dataset = dataset
        self._messenger = messenger

    @property
    def link(self) -> Link:
        """The association, for messages to the requestor."""
        return RequestorLink(self.association, self._messenger)

    @property
    def cancelled(self) -> bool:
        """Whether C-CANCEL has arrived."""
        return self._messenger.is_cancelled(self.command.message_id or 0)

    async def send_pending(
        self,
        dataset: "bytes | Dataset | None" = None,
        *,
        status: int = 0xFF00,
        remaining: int | None = None,
        completed: int | None = None,
        failed: int | None = None,
        warning: int | None = None,
    ) -> None:
        """Send a pending response."""
        response = Response(
            status,
            dataset,
            remaining=remaining,
            completed=completed,
            failed=failed,
            warning=warning,
        )
        await self._messenger.send_response(self.context.id, self.command, response)

    async def c_store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "DatasetSource | Dataset",
        *,
        move_originator: tuple[str, int] | None = None,
    ) -> int:
        """See base."""
        wait = await self.begin_c_store(
            context_id, sop_class_uid, sop_instance_uid, dataset, move_originator=move_originator
        )
        return await wait()

    @property
    def window(self) -> int:
        """See base."""
        return self._messenger.window

    async def begin_c_store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        dataset: "DatasetSource | Dataset",
        *,
        move_originator: tuple[str, int] | None = None,
    ) -> Callable[[], Awaitable[int]]:
        """See base."""
        if is_pydicom_dataset(dataset):
            syntax = self.association.contexts[context_id].transfer_syntax
            dataset = encode_dataset(dataset, syntax)
        request = store_request(sop_class_uid, sop_instance_uid, move_originator=move_originator)
        invocation = await self._messenger.invoke(context_id, request, dataset)

        async def wait() -> int:
            response, _ = await invocation.response()
            return response.status or 0

        return wait


def store_request(
    sop_class_uid: str,
    sop_instance_uid: str,
    *,
    priority: int = Priority.MEDIUM,
    move_originator: tuple[str, int] | None = None,
) -> Command:
    """Return a C-STORE-RQ; its message ID is filled in when it is sent."""
    ae_title, message_id = move_originator or (None, None)
    return Command(
        field=CommandField.C_STORE_RQ,
        affected_sop_class_uid=sop_class_uid,
        affected_sop_instance_uid=sop_instance_uid,
        priority=priority,
        move_originator_application_entity_title=ae_title,
        move_originator_message_id=message_id,
        has_dataset=True,
    )
