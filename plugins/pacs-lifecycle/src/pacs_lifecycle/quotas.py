"""Quotas: what belongs to one, how much that is, and what follows when it is too much."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Final

import anyio
from attrs import asdict, define, field, frozen
from pacs_jobs.api import JobQueue, NewJob

from pacs_core.api.conditions import AttributeTest, find_origin, read_test
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Accept,
    AllOf,
    FilterVerdict,
    IncomingHeader,
    IngestFilter,
    Level,
    Node,
    Origin,
    Query,
    Reject,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_core.dimse import Status
from pacs_lifecycle.config import QuotaConfig
from pacs_lifecycle.interface import COUNT_JOB, QUOTA_JOB, Quotas, Usage

_STUDY: Final = tag_of("StudyInstanceUID")
_REMEMBERED: Final = 1.0
"""Seconds for which a filter goes by what it has looked up."""

_log = logging.getLogger(__name__)


@frozen
class Quota:
    """A quota of the configuration, its conditions read."""

    name: str
    config: QuotaConfig
    where: tuple[AttributeTest, ...]

    @classmethod
    def read(cls, quotas: Mapping[str, QuotaConfig]) -> tuple["Quota", ...]:
        """Return the quotas that tables state."""
        return tuple(
            cls(name, each, tuple(read_test(*item) for item in each.where.items()))
            for name, each in quotas.items()
        )

    @property
    def definition(self) -> str:
        """What it is about, to be compared with what was counted."""
        about = asdict(self.config)
        for key in ("bytes", "studies", "over", "needs"):
            del about[key]
        return json.dumps(about, sort_keys=True, default=str)

    @property
    def wanted(self) -> AllOf:
        """What instances it is about, whoever sent them."""
        return AllOf(tuple(each for test in self.where for each in test.conditions))

    def excess(self, usage: Usage) -> str:
        """Return by how much there is too much, in words; empty if there is not."""
        found = list(self._excesses(usage))
        return " and ".join(found)

    def _excesses(self, usage: Usage) -> Iterator[str]:
        if self.config.bytes and usage.size > self.config.bytes:
            yield f"{usage.size} bytes of {self.config.bytes}"
        if self.config.studies and usage.studies > self.config.studies:
            yield f"{usage.studies} studies of {self.config.studies}"

    def is_full(self, usage: Usage, *, has_study: bool) -> bool:
        """Tell whether one more instance would be too much."""
        config = self.config
        return bool(
            (config.bytes and usage.size >= config.bytes)
            or (config.studies and usage.studies >= config.studies and not has_study)
        )


@define(eq=False)
class Counting:
    """Counts what belongs to quotas.

    Parameters
    ----------
    node : Node
    quotas : tuple of Quota
    """

    node: Node
    quotas: tuple[Quota, ...]
    _warned: set[str] = field(factory=set, init=False)

    async def define(self) -> None:
        """Count anew, by a job, what is about something else than before."""
        for quota in self.quotas:
            if await self.node.find(Quotas).define(quota.name, quota.definition):
                new = NewJob(COUNT_JOB, {"quota": quota.name}, key=f"lifecycle.count {quota.name}")
                await self.node.find(JobQueue).enqueue(new)

    async def count(self, study: str, only: str = "") -> None:
        """Note how much of a study belongs to each quota, or to one."""
        for quota in self.quotas:
            if only in ("", quota.name):
                instances = size = 0
                query = Query(
                    Level.IMAGE, (SingleValue(_STUDY, study),), restrictions=(quota.wanted,)
                )
                async with closing(self.node.archive.instances(query)) as found:
                    async for each in found:
                        if quota.config.ask_for_origin:
                            origin = await find_origin(self.node.archive, each)
                            if origin is None or not quota.config.take_from(origin):
                                continue
                        instances += 1
                        size += each.size
                await self.node.find(Quotas).note(quota.name, study, instances, size)

    async def heed(self, occasion: int | None = None) -> None:
        """Warn where there is too much.

        Parameters
        ----------
        occasion : int, optional
            Number of a change after which more may go than before, such as that a study is
            complete: then what is over a quota is deleted, where that is to follow.
        """
        for quota in self.quotas:
            usage = await self.node.find(Quotas).usage(quota.name)
            excess = quota.excess(usage)
            if not excess:
                self._warned.discard(quota.name)
                continue
            if quota.name not in self._warned:
                self._warned.add(quota.name)
                _log.warning("quota %s: there are %s", quota.name, excess)
            if quota.config.over == "clean" and occasion is not None:
                new = NewJob(QUOTA_JOB, key=QUOTA_JOB, idempotency_key=f"{QUOTA_JOB} {occasion}")
                await self.node.find(JobQueue).enqueue(new)

    async def excesses(self) -> list[str]:
        """Return what is too much, in sentences."""
        usages = [(quota, await self.node.find(Quotas).usage(quota.name)) for quota in self.quotas]
        return [
            f"the quota {quota.name} is exceeded: there are {excess}"
            for quota, usage in usages
            if (excess := quota.excess(usage))
        ]


@define(eq=False)
class QuotaFilter(IngestFilter):
    """Refuses what would add to a quota that is full.

    What it goes by is a second old at the most, so that some instances that are under way may come
    in beyond the quota.

    Parameters
    ----------
    node : Node
    quotas : tuple of Quota
        Those that refuse.
    """

    node: Node
    quotas: tuple[Quota, ...]
    _usages: dict[str, tuple[float, Usage]] = field(factory=dict, init=False)

    async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
        """See base."""
        if not self.node.capabilities.provides(Quotas):
            return Accept()  # a command of who looks after the archive
        for quota in self.quotas:
            if not (quota.config.take_from(origin) and _is_about(quota, header)):
                continue
            usage, study = await self._usage(quota), header.identity.study_instance_uid
            if not quota.is_full(usage, has_study=True) and quota.is_full(usage, has_study=False):
                has_study = await self.node.find(Quotas).has_study(quota.name, study)
            else:
                has_study = False
            if quota.is_full(usage, has_study=has_study):
                _log.warning(
                    "an instance of study %s from %s is refused: the quota %s is full",
                    study, origin.calling_ae_title, quota.name,
                )  # fmt: skip
                return Reject(f"quota {quota.name} is full", Status.OUT_OF_RESOURCES)
        return Accept()

    async def _usage(self, quota: Quota) -> Usage:
        now = anyio.current_time()
        taken, usage = self._usages.get(quota.name, (-_REMEMBERED, Usage()))
        if now - taken >= _REMEMBERED:
            usage = await self.node.find(Quotas).usage(quota.name)
            self._usages[quota.name] = (now, usage)
        return usage


def _is_about(quota: Quota, header: IncomingHeader) -> bool:
    attributes = {test.tag: header.texts(test.tag) for test in quota.where}
    return all(test.holds(attributes) for test in quota.where)
