"""C-GET (PS3.4 C.4.3)."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import ClassVar

from pacs_core.contracts import AuditKind, Operation, StoredInstance
from pacs_core.dimse import CommandField
from pacs_sop_query_retrieve.outgoing import Outgoing
from pacs_sop_query_retrieve.retrieve import Destination, Pair, RetrieveProvider, pair_of


class Requestor(Destination):
    """The requestor of a C-GET, on its own association.

    Sub-operations go into contexts in which it took the SCP role (PS3.4 C.4.3.2.1), of the
    transfer syntax in which an instance is stored: nothing is transcoded.
    """

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._contexts: dict[Pair, int] = {
            (context.abstract_syntax, context.transfer_syntax): context.id
            for context in operation.association.contexts.values()
            if context.scp
        }

    def accepts(self, instance: StoredInstance) -> bool:
        """Whether a context with the SCP role fits."""
        return pair_of(instance) in self._contexts

    async def store(self, item: Outgoing) -> int:
        """Send an instance."""
        identity = item.instance.identity
        return await self._operation.c_store(
            self._contexts[pair_of(item.instance)],
            identity.sop_class_uid,
            identity.sop_instance_uid,
            item,
        )


class Get(RetrieveProvider):
    """Answers C-GET with sub-operations on the same association."""

    command: ClassVar[CommandField] = CommandField.C_GET_RQ
    audit_kind: ClassVar[AuditKind] = AuditKind.C_GET

    def _batches(self, pairs: set[Pair]) -> Iterable[frozenset[Pair]]:
        return [frozenset(pairs)]

    @asynccontextmanager
    async def _destination(
        self, operation: Operation, pairs: frozenset[Pair]
    ) -> AsyncIterator[Destination]:
        yield Requestor(operation)
