"""Consumer of the archive's changes: makes deliveries of what the rules are about.

Theory of operation
-------------------
Changes come at least once, and in order. What is wanted is written into the database before this
returns, and so before the cursor moves; a change that comes again finds its deliveries there.

What a rule is about is looked up in the index. Who sent an instance comes with it, whichever node
has taken it; only what was stored before the index kept that is opened for it. Some hundred
instances are held at a time, however large a study.
"""

import logging
from collections.abc import Sequence
from typing import Final

from pacs_core.api.conditions import find_origin
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Change,
    ChangeConsumer,
    ChangeKind,
    Level,
    Node,
    Query,
    StoredInstance,
    UidList,
)
from pacs_core.dataset import Attributes, tag_of, texts
from pacs_routing.interface import Deliveries, Wanted
from pacs_routing.routes import Routes
from pacs_routing.rules import Rule

logger = logging.getLogger(__name__)

_STUDY_UID: Final = tag_of("StudyInstanceUID")
_INSTANCE_UID: Final = tag_of("SOPInstanceUID")
_CAME: Final = frozenset({ChangeKind.ADDED, ChangeKind.REPLACED})
_PAGE: Final = 200


class RoutingConsumer(ChangeConsumer):
    """Hears of instances and of complete studies.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def start(self) -> None:
        """Find what it works with, and wake what was left without a job."""
        self._routes = self._node.find(Routes)
        self._deliveries = self._node.find(Deliveries)
        await self._deliveries.wake()

    async def handle(self, changes: Sequence[Change]) -> None:
        """See base."""
        came: list[StoredInstance] = []
        for change in changes:
            if change.kind in _CAME and change.instance is not None:
                came.append(change.instance)
            elif change.kind is ChangeKind.STUDY_COMPLETE:
                await self._route_instances(came)
                await self._route_counted(came)
                came = []
                for rule in self._routes.rules_on("study"):
                    await self._route_study(rule, change.study_instance_uid)
        await self._route_instances(came)
        await self._route_counted(came)

    async def _route_instances(self, instances: Sequence[StoredInstance]) -> None:
        rules = tuple(self._routes.rules_on("instance"))
        if not rules or not instances:
            return
        attributes = await self._attributes(instances, rules)
        wanted: list[Wanted] = []
        for instance in instances:
            found = attributes.get(instance.identity.path)
            if found is None:  # it went again
                continue
            wanted += await self._choose(instance, [r for r in rules if r.is_about(found)])
        await self._deliveries.add(wanted)

    async def _attributes(
        self, instances: Sequence[StoredInstance], rules: Sequence[Rule]
    ) -> dict[tuple[str, str], Attributes]:
        paths = [each.identity.path for each in instances]
        conditions = (
            UidList(_STUDY_UID, tuple(dict.fromkeys(study for study, _ in paths))),
            UidList(_INSTANCE_UID, tuple(dict.fromkeys(uid for _, uid in paths))),
        )
        tags = frozenset().union(*(rule.tags for rule in rules)) | {_STUDY_UID, _INSTANCE_UID}
        found: dict[tuple[str, str], Attributes] = {}
        query = Query(Level.IMAGE, conditions, tags)
        async with closing(self._node.archive.search(query)) as matches:
            async for match in matches:
                study, uid = (texts(match, tag)[0] for tag in (_STUDY_UID, _INSTANCE_UID))
                found[study, uid] = match
        return found

    async def _choose(self, instance: StoredInstance, rules: Sequence[Rule]) -> list[Wanted]:
        """Return what follows from rules that are about an instance, once its sender is known."""
        if not rules:
            return []
        origin = await find_origin(self._node.archive, instance)
        if origin is None:
            return []
        return [
            self._routes.want(choice, instance)
            for rule in rules
            if rule.config.take_from(origin)
            for choice in self._routes.choose(rule, origin.calling_ae_title)
            if not choice.obstacle
        ]

    async def _route_counted(self, instances: Sequence[StoredInstance]) -> None:
        """Send the studies of instances of which as many are there as a rule expects."""
        for rule in self._routes.rules_on("study"):
            if not rule.config.count:
                continue
            for study_uid in dict.fromkeys(each.identity.study_instance_uid for each in instances):
                missing = rule.config.count
                async with closing(self._node.archive.instances(_about(rule, study_uid))) as found:
                    async for _ in found:
                        missing -= 1
                        if not missing:
                            break
                if not missing:
                    await self._route_study(rule, study_uid)

    async def _route_study(self, rule: Rule, study_uid: str) -> None:
        matching = _about(rule, study_uid)
        if not rule.config.whole_study:
            await self._route_query(rule, matching)
        elif await self._has_one(rule, matching):
            whole = Query(Level.IMAGE, (UidList(_STUDY_UID, (study_uid,)),))
            await self._route_query(rule, whole, any_source=True)

    async def _has_one(self, rule: Rule, matching: Query) -> bool:
        async with closing(self._node.archive.instances(matching)) as found:
            async for instance in found:
                if not rule.config.ask_for_origin:
                    return True
                origin = await find_origin(self._node.archive, instance)
                if origin is not None and rule.config.take_from(origin):
                    return True
        return False

    async def _route_query(self, rule: Rule, query: Query, *, any_source: bool = False) -> None:
        page: list[Wanted] = []
        async with closing(self._node.archive.instances(query)) as found:
            async for instance in found:
                origin = await find_origin(self._node.archive, instance)
                if origin is None or not (any_source or rule.config.take_from(origin)):
                    continue
                page += [
                    self._routes.want(choice, instance)
                    for choice in self._routes.choose(rule, origin.calling_ae_title)
                    if not choice.obstacle
                ]
                if len(page) >= _PAGE:
                    await self._deliveries.add(page)
                    page = []
        await self._deliveries.add(page)


def _about(rule: Rule, study_uid: str) -> Query:
    """Return the query for the instances of a study that a rule is about, whoever sent them."""
    study = UidList(_STUDY_UID, (study_uid,))
    return Query(Level.IMAGE, (study,), restrictions=(rule.restriction,))
