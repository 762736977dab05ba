"""The plan: what the rules say of each study now, and what keeps it all the same.

Studies are looked at in batches, the oldest first. For each batch the index is asked once for each
rule which of its studies meet the conditions, so that a million studies take some thousand
queries, and memory stays the same.
"""

import time
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from attrs import define, evolve, field, frozen

from pacs_core.api.conditions import find_origin
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AllOf,
    DeletionReport,
    Level,
    Node,
    Query,
    Restriction,
    SingleValue,
    UidList,
)
from pacs_core.dataset import Attributes, tag_of
from pacs_lifecycle.config import LifecycleConfig, RuleConfig
from pacs_lifecycle.confirming import Confirmations
from pacs_lifecycle.interface import Studies, StudyFacts
from pacs_lifecycle.origins import rule_origin
from pacs_lifecycle.quotas import Quota
from pacs_lifecycle.rules import DAY, Rule, Study, choose, read_date

_STUDY: Final = tag_of("StudyInstanceUID")
_DATE: Final = tag_of("StudyDate")
_BIRTH: Final = tag_of("PatientBirthDate")
_KNOWN: Final = frozenset({_STUDY, _DATE, _BIRTH})


class IncompleteIndexError(Exception):
    """The index may lack instances, so that nobody can say what may go."""


@frozen
class Judgement:
    """What is to become of a study that a rule is about.

    Attributes
    ----------
    study : Study
    rule : Rule
    obstacles : tuple of str
        Why it is not deleted, although the rule says so.
    """

    study: Study
    rule: Rule
    obstacles: tuple[str, ...] = ()

    @property
    def goes(self) -> bool:
        """Whether it is to be deleted."""
        return self.rule.deletes and not self.obstacles


def of_study(uid: str, level: Level = Level.IMAGE) -> Query:
    """Return the query for what is in a study."""
    return Query(level, (SingleValue(_STUDY, uid),))


async def carry_out(node: Node, judgement: Judgement) -> DeletionReport:
    """Delete the study that a judgement lets go, in the name of its rule."""
    origin = rule_origin(node.settings, judgement.rule.name)
    return await node.archive.delete_all(of_study(judgement.study.uid), origin)


@define(eq=False)
class Planner:
    """Says what is to be deleted, by rules.

    Parameters
    ----------
    node : Node
    config : LifecycleConfig
    low_room : bool
        Whether rules count that are for the time in which there is little room.
    """

    node: Node
    config: LifecycleConfig
    low_room: bool = False
    rules: tuple[Rule, ...] = field(init=False)
    confirmations: Confirmations = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rules = tuple(
            Rule.read(each) for each in self.config.rules if self.low_room or each.when == "always"
        )
        self.confirmations = Confirmations(self.node)

    async def judge(self, now: float | None = None) -> AsyncIterator[Judgement]:
        """Iterate over the studies that rules are about, the oldest first.

        In bounded memory, and while others store, read and delete.
        """
        now = time.time() if now is None else now
        if not any(rule.deletes for rule in self.rules):
            return
        await self._require_whole_index()
        before = now - self.config.grace * DAY
        async with closing(self.node.find(Studies).by_arrival(before)) as batches:
            async for batch in batches:
                for study in await self._look_at(batch):
                    rule = choose(self.rules, study, now, self.config.grace)
                    if rule is not None:
                        obstacles = await self.obstacles(rule, study.uid) if rule.deletes else ()
                        yield Judgement(study, rule, obstacles)

    async def _require_whole_index(self) -> None:
        # What it lacks may be what a rule keeps a study for.
        if reason := await self.node.archive.gap():
            raise IncompleteIndexError(
                f"nothing is deleted by an index that is not whole: {reason}"
            )

    async def judge_for_quota(self, facts: StudyFacts, quota: Quota) -> Judgement | None:
        """Say whether a study goes because a quota is exceeded; None if a rule keeps it."""
        await self._require_whole_index()
        now = time.time()
        # As a rule that comes after all others: what they keep stays.
        over = RuleConfig(
            name=f"quota {quota.name}"[:64], when="low-room", needs=quota.config.needs
        )
        last = Rule.read(over)
        for study in await self._look_at([facts]):
            met = evolve(study, meets={*study.meets, last.name})
            keeping = [rule for rule in self.rules if not rule.deletes]
            if choose([*keeping, last], met, now, self.config.grace) is last:
                return Judgement(study, last, await self.obstacles(last, study.uid))
        return None

    async def obstacles(self, rule: Rule, uid: str) -> tuple[str, ...]:
        """Return why a study must not be deleted by a rule: holds, and what it needs and lacks."""
        origin = rule_origin(self.node.settings, rule.name)
        held = await self.node.archive.holds(of_study(uid), origin)
        found = sorted(set(held.values()))[:3]
        if not found:
            for need in rule.config.needs:
                if lack := await self.confirmations.lack(need, uid):
                    found.append(f"{need}: {lack}")
        return tuple(found)

    async def _look_at(self, batch: Sequence[StudyFacts]) -> list[Study]:
        known = await self._find([each.uid for each in batch], AllOf(()))
        meets: dict[str, set[str]] = {each.uid: set() for each in batch}
        for rule in self.rules:
            found = await self._find(meets, rule.wanted)
            excluded = await self._find(found, rule.unwanted) if rule.unless and found else {}
            for uid in found.keys() - excluded.keys():
                if not rule.config.ask_for_origin or await self._comes_from(rule, uid):
                    meets[uid].add(rule.name)
        return [
            Study(
                each.uid,
                each.arrived,
                each.complete,
                read_date(_first_text(known[each.uid], _DATE)),
                read_date(_first_text(known[each.uid], _BIRTH)),
                frozenset(meets[each.uid]),
            )
            for each in batch
            if each.uid in known
        ]

    async def _find(self, uids: Collection[str], like: Restriction) -> dict[str, Attributes]:
        """Return which studies have an instance that meets a restriction."""
        which = (UidList(_STUDY, tuple(uids)),)
        query = Query(Level.STUDY, which, _KNOWN, restrictions=(like,))
        async with closing(self.node.archive.search(query)) as studies:
            found: dict[str, Attributes] = {}
            async for each in studies:
                uid = _first_text(each, _STUDY)
                found[uid] = _youngest(found[uid], each) if uid in found else each
            return found

    async def _comes_from(self, rule: Rule, uid: str) -> bool:
        """Tell whether an instance of a study was sent by whom a rule is about."""
        async with closing(self.node.archive.instances(of_study(uid))) as instances:
            async for instance in instances:
                origin = await find_origin(self.node.archive, instance)
                if origin is not None and rule.config.take_from(origin):
                    return True
        return False


def _youngest(one: Attributes, other: Attributes) -> Attributes:
    """Return the latest dates of a study that two patients have: neither must go too early."""
    return {tag: max(one.get(tag, ()), other.get(tag, ()), key=str) for tag in _KNOWN}


def _first_text(attributes: Attributes, tag: int) -> str:
    return str((*attributes.get(tag, ()), "")[0])
