"""C-GET (PS3.4 C.4.3)."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import ClassVar

from pacs_core.contracts import AuditKind, Node, Operation, StoredInstance
from pacs_core.dimse import CommandField
from pacs_sop_query_retrieve.forms import Forms, Pair
from pacs_sop_query_retrieve.outgoing import Conversion, Missing, Outgoing
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

    def conversion(self, item: Outgoing) -> Conversion | Missing | None:
        """Return what becomes of an instance; None if it is sent as it is stored."""
        return self._forms.conversion(item)

    async def store(self, item: Outgoing | Conversion) -> int:
        """Send an instance."""
        forms, identity = self._forms, item.instance.identity
        return await self._operation.c_store(
            forms.context_id(item),
            identity.sop_class_uid,
            item.sop_instance_uid,
            item.whole if isinstance(item, Outgoing) else await forms.dataset(item),
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
