"""Confirmation that a peer has all of a study, which a rule needs before it deletes.

Each is asked for anew when a study is to go, since what a peer said years ago may not hold. A study
that is large is asked for in parts, so that memory stays the same.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from attrs import define

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AssociationError,
    Level,
    Node,
    Query,
    SingleValue,
    StoredInstance,
)
from pacs_core.dataset import tag_of, texts
from pacs_lifecycle.retrieving import find, find_peer, finding

if TYPE_CHECKING:
    from pacs_routing.api import Deliveries

_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_INSTANCE: Final = tag_of("SOPInstanceUID")
_LEVEL: Final = tag_of("QueryRetrieveLevel")
_BATCH: Final = 1000
_WAIT: Final = 60.0


def interfaces_for(needs: Iterable[str]) -> tuple[type, ...]:
    """Return the interfaces of capabilities that are asked whether needs are met."""
    kinds = {need.partition(":")[0] for need in needs}
    found: list[type] = []
    with suppress(ImportError):
        if "routed" in kinds:
            from pacs_routing.api import Deliveries

            found.append(Deliveries)
    with suppress(ImportError):
        if "commitment" in kinds:
            from pacs_sop_storage_commitment.api import Requester

            found.append(Requester)
    return tuple(found)


@define(eq=False)
class Confirmations:
    """Asks peers whether they have what is to be deleted here.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def lack(self, need: str, study: str) -> str:
        """Return why a need is not met; empty if it is."""
        kind, _, name = need.partition(":")
        try:
            return await self._by_kind[kind](name, study)
        except (AssociationError, LookupError, OSError) as error:
            return str(error)

    @property
    def _by_kind(self) -> Mapping[str, Callable[[str, str], Awaitable[str]]]:
        return {"commitment": self._commitment, "found": self._found, "routed": self._routed}

    async def _found(self, name: str, study: str) -> str:
        """Ask a peer by C-FIND for all instances, series by series (PS3.4 C.4.1.3.1.1)."""
        missing = count = 0
        async with (
            finding(self.node, find_peer(self.node, name)) as association,
            closing(self._by_series(study)) as some,
        ):
            async for series, uids in some:
                keys = {_LEVEL: ("IMAGE",), _STUDY: (study,), _SERIES: (series,), _INSTANCE: ()}
                matches = await find(association, keys)
                found = {uid for match in matches for uid in texts(match, _INSTANCE)}
                count += len(uids)
                missing += len(uids - found)
        return f"{name} does not find {missing} of {count} instances" if missing else ""

    async def _by_series(self, study: str) -> AsyncIterator[tuple[str, set[str]]]:
        """Iterate over the series of a study, and the instances that each has."""
        series, uids = "", set[str]()
        async with closing(self._instances(study)) as instances:
            async for each in instances:
                if each.identity.series_instance_uid != series:
                    if uids:
                        yield series, uids
                    series, uids = each.identity.series_instance_uid, set()
                uids.add(each.identity.sop_instance_uid)
        if uids:
            yield series, uids

    async def _commitment(self, name: str, study: str) -> str:
        """Ask a peer to commit to all instances (PS3.4 J.3)."""
        try:
            from pacs_sop_storage_commitment.api import (
                CommitmentRefusedError,
                CommitmentRequest,
                Reference,
                Requester,
                TransactionState,
            )
        except ImportError:
            raise LookupError("pacs-sop-storage-commitment is not installed") from None
        requester, peer = self.node.find(Requester), find_peer(self.node, name)
        async with closing(self._batches(study)) as batches:
            async for batch in batches:
                identities = [each.identity for each in batch]
                references = tuple(
                    Reference(each.sop_class_uid, each.sop_instance_uid) for each in identities
                )
                request = CommitmentRequest(f"2.25.{uuid.uuid4().int}", references)
                try:
                    transaction = await requester.request(peer, request, _WAIT)
                except CommitmentRefusedError as error:
                    return str(error)
                if transaction.state is not TransactionState.REPORTED:
                    return f"{name} has not answered yet"
                if failed := len(transaction.failures):
                    return f"{name} does not commit to {failed} of {len(references)} instances"
        return ""

    async def _routed(self, name: str, study: str) -> str:
        """Look whether all instances, as they are now, have been sent to a peer."""
        try:
            from pacs_routing.api import Deliveries
        except ImportError:
            raise LookupError("pacs-routing is not installed") from None
        sent = await self._sent(self.node.find(Deliveries), name, study)
        missing = count = 0
        async with closing(self._instances(study)) as instances:
            async for each in instances:
                version = each.digest.hex() or each.key
                count += 1
                missing += (each.identity.sop_instance_uid, version) not in sent
        return f"{missing} of {count} instances were not sent to {name}" if missing else ""

    async def _sent(self, deliveries: "Deliveries", name: str, study: str) -> set[tuple[str, str]]:
        from pacs_routing.api import DeliveryFilter, DeliveryState

        states = (DeliveryState.SENT, DeliveryState.COMMITTED)
        wanted = DeliveryFilter(peer=name, study_uid=study, states=states)
        async with closing(deliveries.search(wanted, 1_000_000)) as found:
            return {(each.instance_uid, each.version) async for each in found}

    def _instances(self, study: str) -> AsyncIterator[StoredInstance]:
        return self.node.archive.instances(Query(Level.IMAGE, (SingleValue(_STUDY, study),)))

    async def _batches(self, study: str) -> AsyncIterator[Sequence[StoredInstance]]:
        batch: list[StoredInstance] = []
        async with closing(self._instances(study)) as instances:
            async for each in instances:
                batch.append(each)
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch
