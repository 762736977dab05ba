"""The plan of a migration: what policies say of each object that is there now."""

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from pacs_core.api.streams import closing
from pacs_core.contracts import Level, Node, ObjectStore, Query, SingleValue, StoredInstance
from pacs_core.dataset import Attributes, tag_of
from pacs_store_tiered.config import TIERS, PolicyConfig, TieringConfig
from pacs_store_tiered.interface import Studies, StudyFacts
from pacs_store_tiered.policies import DAY, Candidate, about, choose
from pacs_store_tiered.store import TieredStore

_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_MODALITY: Final = tag_of("Modality")
_BATCH: Final = 500
_SETTLING: Final = 3600.0
"""Seconds after its arrival in which the node itself reads a study, such as to prepare metadata."""


@frozen
class Move:
    """An object that is to move.

    Attributes
    ----------
    instance : StoredInstance
    source, target : str
        Tiers.
    """

    instance: StoredInstance
    source: str
    target: str


def find_store(node: Node) -> TieredStore:
    """Return the tiered store of a node.

    Raises
    ------
    LookupError
        It has none, or several.
    """
    found = [each for each in node.stores.values() if isinstance(each, TieredStore)]
    if len(found) != 1:
        raise LookupError(
            "the archive has no tiered store: make one of [archive] store, in [stores.NAME]"
            if not found
            else "the archive has several tiered stores, one within another: policies need one"
        )
    return found[0]


def of_study(uid: str, level: Level = Level.STUDY, *returning: int) -> Query:
    """Return the query for a study, or what is in it."""
    return Query(level, (SingleValue(_STUDY, uid),), frozenset(returning))


def first_text(attributes: Attributes, tag: int) -> str:
    """Return the first value of an attribute; empty if it has none."""
    return str((*attributes.get(tag, ()), "")[0])


def free_room(store: ObjectStore) -> tuple[int, int]:
    """Return the bytes that are free, and all, of where a store keeps objects; zeros if unbounded.

    Of several file systems, those of the one with the smallest part free.
    """
    found = []
    for directory in store.directories:
        status = os.statvfs(directory)
        found.append((status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize))
    return min(found, key=lambda room: room[0] / max(room[1], 1), default=(0, 0))


@define(eq=False)
class Planner:
    """Says what is to move, by policies.

    Parameters
    ----------
    node : Node
    config : TieringConfig
    room : callable
        Bytes free, and all, where a store keeps objects.
    """

    node: Node
    config: TieringConfig
    room: Callable[[ObjectStore], tuple[int, int]] = free_room
    _freed: dict[str, int] = field(factory=dict, init=False)

    async def moves(self, now: float | None = None) -> AsyncIterator[Move]:
        """Iterate over what is to move now, what was not used for longest first.

        In bounded memory, and while others store, read and delete.
        """
        now = time.time() if now is None else now
        self._freed.clear()
        store, studies = find_store(self.node), self.node.find(Studies)
        for policy in self.config.policies:
            if policy.to not in store.tiers:
                raise LookupError(f"a policy moves to {policy.to}, and there is no such tier")
        async with closing(studies.by_use()) as known:
            async for study in known:
                was_read = study.used - study.arrived > _SETTLING
                is_kept = was_read and now - study.used < self._keep
                policies = () if study.pinned or is_kept else about(self._policies, study, now)
                if not any(policy.to != "hot" for policy in policies):
                    continue
                async with closing(self._of_study(store, studies, study, policies)) as moves:
                    async for move in moves:
                        yield move

    @property
    def _policies(self) -> Sequence[PolicyConfig]:
        return self.config.policies

    @property
    def _keep(self) -> float:
        return self.config.keep_recalled * DAY

    async def _of_study(
        self,
        store: TieredStore,
        studies: Studies,
        study: StudyFacts,
        policies: Sequence[PolicyConfig],
    ) -> AsyncIterator[Move]:
        asks = any(policy.modalities for policy in policies)
        modalities = await self._modalities(study.uid) if asks else {}
        batch: list[StoredInstance] = []
        is_empty = True
        async with closing(self.node.archive.instances(of_study(study.uid))) as instances:
            async for instance in instances:
                is_empty = False
                batch.append(instance)
                if len(batch) == _BATCH:
                    for move in await self._choose(store, batch, modalities, policies):
                        yield move
                    batch.clear()
        for move in await self._choose(store, batch, modalities, policies):
            yield move
        if is_empty:
            await studies.forget(study.uid)

    async def _choose(
        self,
        store: TieredStore,
        instances: Sequence[StoredInstance],
        modalities: Mapping[str, str],
        policies: Sequence[PolicyConfig],
    ) -> list[Move]:
        places = await store.places([each.key for each in instances])
        moves = []
        for each in instances:
            tier = places.get(each.key, TIERS[-1])
            modality = modalities.get(each.identity.series_instance_uid, "")
            policy = choose(policies, Candidate(each, modality, tier), self._lacks_room)
            if policy is not None and TIERS.index(policy.to) > TIERS.index(tier):
                self._freed[tier] = self._freed.get(tier, 0) + each.size
                moves.append(Move(each, tier, policy.to))
        return moves

    def _lacks_room(self, tier: str, part: float) -> bool:
        free, total = self.room(find_store(self.node).tiers[tier])
        return bool(total) and free + self._freed.get(tier, 0) < part * total

    async def _modalities(self, uid: str) -> dict[str, str]:
        query = of_study(uid, Level.SERIES, _SERIES, _MODALITY)
        found = {}
        async with closing(self.node.archive.search(query)) as series:
            async for each in series:
                found[first_text(each, _SERIES)] = first_text(each, _MODALITY)
        return found
