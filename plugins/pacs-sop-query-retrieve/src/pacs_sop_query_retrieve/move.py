"""C-MOVE (PS3.4 C.4.2)."""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar

import anyio

from pacs_core.association import (
    MAX_CONTEXTS,
    Association,
    AssociationError,
    Proposal,
    connect,
)
from pacs_core.contracts import (
    AccessAction,
    AccessTarget,
    Archive,
    AuditKind,
    Node,
    Operation,
    Peer,
    Response,
    StoredInstance,
    TranscodingError,
)
from pacs_core.dimse import CommandField, DimseError, Priority, Status
from pacs_sop_query_retrieve.auditing import Details
from pacs_sop_query_retrieve.config import QueryRetrieveConfig
from pacs_sop_query_retrieve.forms import Forms, Pair
from pacs_sop_query_retrieve.identifier import Identifier
from pacs_sop_query_retrieve.models import Model
from pacs_sop_query_retrieve.outgoing import Conversion, Missing, Outgoing
from pacs_sop_query_retrieve.retrieve import Destination, RetrieveProvider

logger = logging.getLogger(__name__)


class Unreachable(Destination):
    """A peer that no association could be made with: every sub-operation fails."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def refusal(self, instance: StoredInstance) -> str:
        """Take nothing."""
        return self.reason

    async def store(self, item: Outgoing | Conversion) -> int:
        """Fail."""
        return Status.PROCESSING_FAILURE


class Remote(Destination):
    """The move destination, on an association of our own.

    Once the association has ended nothing more is taken, so that what remains fails.
    """

    def __init__(
        self, association: Association, operation: Operation, node: Node, peer: Peer
    ) -> None:
        command = operation.command
        self._association = association
        self._priority = Priority.MEDIUM if command.priority is None else command.priority
        caller = operation.association.origin.calling_ae_title
        self._originator = (caller, command.message_id or 0)
        contexts = [context for context in association.contexts.values() if context.scu]
        self._forms = Forms(node.transcoder, contexts, peer, str(peer))

    def refusal(self, instance: StoredInstance) -> str:
        """Return why the peer cannot be sent an instance, if so."""
        return self.reason or self._forms.refusal(instance)

    def conversion(self, item: Outgoing) -> Conversion | Missing | None:
        """Return what becomes of an instance; None if it is sent as it is stored."""
        return self._forms.conversion(item)

    async def store(self, item: Outgoing | Conversion) -> int:
        """Send an instance; a failing association makes this and all that follow fail."""
        forms, identity = self._forms, item.instance.identity
        dataset = item.whole if isinstance(item, Outgoing) else await forms.dataset(item)
        try:
            response = await self._association.c_store(
                identity.sop_class_uid,
                item.sop_instance_uid,
                dataset,
                context_id=forms.context_id(item),
                priority=self._priority,
                move_originator=self._originator,
            )
        except (AssociationError, OSError, TranscodingError) as error:
            # A dataset that breaks off takes its association with it.
            self.reason = str(error)
            logger.warning("C-MOVE of %s failed: %s", identity.sop_instance_uid, error)
            return Status.PROCESSING_FAILURE
        return Status.PROCESSING_FAILURE if response.status is None else response.status


class Move(RetrieveProvider):
    """Answers C-MOVE with sub-operations on associations with the destination."""

    command: ClassVar[CommandField] = CommandField.C_MOVE_RQ
    audit_kind: ClassVar[AuditKind] = AuditKind.C_MOVE

    def __init__(self, node: Node, config: QueryRetrieveConfig) -> None:
        super().__init__(node, config)
        self._turns: dict[str, anyio.Semaphore] = {}

    async def _perform(
        self, operation: Operation, model: Model, identifier: Identifier, details: Details
    ) -> Response:
        details["destination"] = operation.command.move_destination
        self._peer(operation)
        return await super()._perform(operation, model, identifier, details)

    def _archive(self, operation: Operation) -> Archive:
        return self._node.archive.on_behalf_of(
            operation.association.origin,
            reading=AccessAction.MOVE,
            what=AccessTarget(destination=operation.command.move_destination or ""),
        )

    def _peer(self, operation: Operation) -> Peer:
        title = operation.command.move_destination or ""
        peer = self._node.settings.peer(title)
        if peer is None:
            raise DimseError(
                Status.MOVE_DESTINATION_UNKNOWN, f"No peer is configured with AE title {title}"
            )
        return peer

    def _batches(self, operation: Operation, pairs: set[Pair]) -> Iterable[frozenset[Pair]]:
        """Divide into what fits one association (PS3.8 §7.1.1.13)."""
        peer = self._peer(operation)
        batch: set[Pair] = set()
        wanted: set[Pair] = set()
        for pair in sorted(pairs):
            more = self._contexts(pair, peer)
            if batch and len(wanted | more) > MAX_CONTEXTS:
                yield frozenset(batch)
                batch, wanted = set(), set()
            batch.add(pair)
            wanted |= more
        if batch:
            yield frozenset(batch)

    def _contexts(self, pair: Pair, peer: Peer) -> frozenset[Pair]:
        """Return what to propose for instances of a form."""
        sop_class_uid, stored = pair
        syntaxes = self._node.transcoder.proposals(stored, peer)[:MAX_CONTEXTS]
        return frozenset((sop_class_uid, syntax) for syntax in syntaxes)

    @asynccontextmanager
    async def _destination(
        self, operation: Operation, pairs: frozenset[Pair]
    ) -> AsyncIterator[Destination]:
        title, most = self._peer(operation).ae_title, self._config.associations_per_destination
        turn = self._turns.setdefault(title, anyio.Semaphore(most))
        async with turn, AsyncExitStack() as stack:
            yield await self._connect(stack, operation, pairs)

    async def _connect(
        self, stack: AsyncExitStack, operation: Operation, pairs: frozenset[Pair]
    ) -> Destination:
        """Propose each transfer syntax in a context of its own: none can crowd out another."""
        settings, peer = self._node.settings, self._peer(operation)
        wanted = sorted({context for pair in pairs for context in self._contexts(pair, peer)})
        if not wanted:
            return Unreachable(f"the configuration of {peer} excludes every form there is")
        connection = connect(
            peer,
            [Proposal(sop_class, (syntax,)) for sop_class, syntax in wanted],
            calling_ae_title=settings.ae_title,
            timeouts=settings.timeouts,
        )
        try:
            association = await stack.enter_async_context(connection)
        except AssociationError as error:
            logger.warning("C-MOVE cannot associate with %s: %s", peer, error)
            return Unreachable(str(error))
        return Remote(association, operation, self._node, peer)
