"""C-GET (PS3.4 C.4.3)."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import ClassVar

from pacs_core.contracts import Action, AuditKind, Node, Operation, Plan, StoredInstance
from pacs_core.dimse import CommandField
from pacs_sop_query_retrieve.forms import Forms, Pair, Stream
from pacs_sop_query_retrieve.outgoing import Outgoing
from pacs_sop_query_retrieve.retrieve import Destination, RetrieveProvider


class Requestor(Destination):
    """The requestor of a C-GET, on its own association.

    Sub-operations go into contexts in which it took the SCP role (PS3.4 C.4.3.2.1).
    """

    def __init__(self, operation: Operation, node: Node) -> None:
        title = operation.association.origin.calling_ae_title
        contexts = [each for each in operation.association.contexts.values() if each.scp]
        self._operation = operation
        self._forms = Forms(node.transcoder, contexts, node.settings.peer(title), title)

    def refusal(self, instance: StoredInstance) -> str:
        """Return why no context with the SCP role fits, if so."""
        return self._forms.refusal(instance)

    async def store(self, item: Outgoing) -> int:
        """Send an instance."""
        plan = self._forms.plan(item.instance)
        if plan.action is Action.PASS_THROUGH:
            return await self._store(item, plan, item.whole)
        async with self._forms.dataset(item, plan) as dataset:
            return await self._store(item, plan, dataset)

    async def _store(self, item: Outgoing, plan: Plan, dataset: bytes | Stream) -> int:
        identity = item.instance.identity
        return await self._operation.c_store(
            self._forms.context_id(item.instance, plan),
            identity.sop_class_uid,
            plan.sop_instance_uid(identity.sop_instance_uid),
            dataset,
        )


class Get(RetrieveProvider):
    """Answers C-GET with sub-operations on the same association."""

    command: ClassVar[CommandField] = CommandField.C_GET_RQ
    audit_kind: ClassVar[AuditKind] = AuditKind.C_GET

    def _batches(self, operation: Operation, pairs: set[Pair]) -> Iterable[frozenset[Pair]]:
        return [frozenset(pairs)]

    @asynccontextmanager
    async def _destination(
        self, operation: Operation, pairs: frozenset[Pair]
    ) -> AsyncIterator[Destination]:
        yield Requestor(operation, self._node)
