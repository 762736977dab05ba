"""Priors of a patient, fetched from other archives before somebody wants to see them.

Each order makes one job for each rule that it meets. The job asks the peers what they have,
chooses, and fetches what is not here: done twice, it finds that nothing is left to do.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final

import anyio
from attrs import asdict, define, field
from pacs_jobs.api import JobFailedError, JobQueue, NewJob, Progress, RunningJob

from pacs_core.api.conditions import read_test
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AssociationError,
    Change,
    ChangeConsumer,
    ChangeKind,
    Level,
    Node,
    Query,
    Service,
    SingleValue,
    Started,
)
from pacs_core.dataset import Attributes, items, tag_of, texts
from pacs_core.dimse import is_valid_uid
from pacs_lifecycle.archives import AnotherArchive, Keys, find_archive
from pacs_lifecycle.config import PrefetchConfig
from pacs_lifecycle.handlers import LifecycleHandler
from pacs_lifecycle.interface import PREFETCH_JOB
from pacs_lifecycle.planning import of_study
from pacs_lifecycle.priors import (
    STUDY_KEYS,
    Order,
    Prior,
    choose_priors,
    is_searchable,
    read_prior,
)
from pacs_lifecycle.retrieving import RetrievalError
from pacs_lifecycle.rules import DAY, read_date

_PATIENT: Final = tag_of("PatientID")
_ISSUER: Final = tag_of("IssuerOfPatientID")
_BIRTH: Final = tag_of("PatientBirthDate")
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_DATE: Final = tag_of("StudyDate")
_MODALITY: Final = tag_of("Modality")
_BODY_PART: Final = tag_of("BodyPartExamined")
_STEPS: Final = tag_of("ScheduledProcedureStepSequence")
_STUDY_KEYS_KNOWN: Final = (_PATIENT, _ISSUER, _BIRTH, _STUDY, _DATE)
_LOOK: Final = 60.0
_log = logging.getLogger(__name__)


def order_of(attributes: Attributes) -> Order:
    """Return what priors are wanted for: a step of the worklist, or a study that comes."""

    def first(tag: int) -> str:
        return "".join(texts(attributes, tag)[:1]).strip()

    return Order(
        first(_PATIENT),
        first(_ISSUER),
        first(_BIRTH),
        first(_STUDY),
        first(_MODALITY),
        first(_BODY_PART),
    )


def is_about(rule: PrefetchConfig, attributes: Attributes) -> bool:
    """Tell whether a rule is about a step of the worklist, or a study that comes."""
    return all(read_test(*item).holds(attributes) for item in rule.where.items())


async def want(node: Node, rule: str, order: Order, identity: str) -> None:
    """Let the priors of an order be fetched, once."""
    if not is_searchable(order.patient_id):
        _log.warning("no priors are fetched of Patient ID %r", order.patient_id[:80])
        return
    key = f"{PREFETCH_JOB} {rule} {identity}"[:500]
    new = NewJob(PREFETCH_JOB, {"rule": rule, **asdict(order)}, idempotency_key=key)
    await node.find(JobQueue).enqueue(new)


@define(eq=False)
class WatchWorklist(Service):
    """Looks once a minute which steps are to begin.

    Parameters
    ----------
    node : Node
    rules : mapping of str to PrefetchConfig
        Those for orders.
    """

    node: Node
    rules: Mapping[str, PrefetchConfig]
    _wanted: set[str] = field(factory=set, init=False)

    async def run(self, started: Started) -> None:
        """Look until cancelled."""
        from pacs_sop_worklist.api import Worklist

        started()
        while True:
            # What was wanted a minute ago need not be asked of the queue again.
            before, self._wanted = self._wanted, set()
            async with closing(self.node.find(Worklist).search()) as listed:
                async for each in listed:
                    step = each.step
                    await self._look_at(step.attributes, step.identity, step.start, before)
            await anyio.sleep(_LOOK)

    async def _look_at(
        self, entry: Attributes, identity: str, start: str, before: Collection[str]
    ) -> None:
        day = read_date(start[:8])
        # What is of the step is asked for as if it were of the entry: `Modality`, say.
        attributes = {**entry, **next(iter(items(entry, _STEPS)), {})}
        for name, rule in self.rules.items():
            is_soon = day is not None and (day - date.today()).days <= rule.ahead
            if is_soon and is_about(rule, attributes):
                self._wanted.add(f"{name} {identity}")
                if f"{name} {identity}" not in before:
                    await want(self.node, name, order_of(attributes), identity)


@define(eq=False)
class FollowArrivals(ChangeConsumer):
    """Wants priors when the first instance of a study comes that is new.

    Parameters
    ----------
    node : Node
    rules : mapping of str to PrefetchConfig
        Those for studies.
    """

    node: Node
    rules: Mapping[str, PrefetchConfig]

    async def handle(self, changes: Sequence[Change]) -> None:
        """See base."""
        for uid in dict.fromkeys(each.study_instance_uid for each in changes if _is_arrival(each)):
            await self._look_at(uid)

    async def _look_at(self, uid: str) -> None:
        conditions = (SingleValue(_STUDY, uid),)
        returning = {*_STUDY_KEYS_KNOWN, _MODALITY, _BODY_PART}
        for rule in self.rules.values():
            returning |= {read_test(*item).tag for item in rule.where.items()}
        query = Query(Level.SERIES, conditions, frozenset(returning), limit=1)
        async with closing(self.node.archive.search(query)) as series:
            async for each in series:
                day = read_date("".join(texts(each, _DATE)[:1]))
                # A prior that was fetched is no reason to fetch others.
                if day is None or time.time() - _midnight(day) > 2 * DAY:
                    return
                for name, rule in self.rules.items():
                    if is_about(rule, each):
                        await want(self.node, name, order_of(each), uid)


@define(eq=False)
class PrefetchHandler(LifecycleHandler):
    """Fetches the priors of an order."""

    async def run(self, job: RunningJob) -> None:
        """See base."""
        given = dict(job.arguments)
        rule = self.config.prefetch.get(str(given.pop("rule")))
        if rule is None:
            raise JobFailedError("there is no such rule any more")
        order = Order(**given)
        found, problems = await self._ask(rule, order)
        priors = choose_priors(rule, order, found, date.today())
        chosen = fetched = 0
        for prior in priors:
            if chosen == rule.count:
                break
            archive = found[prior]
            try:
                if not await self._has_body_part(rule, order, archive, prior.uid):
                    continue
                chosen += 1
                if await self._lacks(prior):
                    await archive.fetch_study(prior.uid, by_move=rule.retrieve == "move")
                    fetched += 1
            except (AssociationError, RetrievalError) as error:
                problems.append(f"{prior.uid}: {error}")
            await job.report(Progress(chosen, note=f"{fetched} priors fetched"))
        await job.report(Progress(chosen, note=f"{chosen} priors, {fetched} fetched"))
        if problems:
            raise OSError("; ".join(problems[:3]))

    async def _ask(
        self, rule: PrefetchConfig, order: Order
    ) -> tuple[dict[Prior, AnotherArchive], list[str]]:
        """Return what the archives have of the patient, and which has it."""
        keys: Keys = {**dict.fromkeys(STUDY_KEYS, ()), _PATIENT: (order.patient_id,)}
        found: dict[Prior, AnotherArchive] = {}
        problems: list[str] = []
        for name in rule.peers:
            try:
                archive = find_archive(self.node, name)
                for each in await archive.find_studies(keys):
                    prior = read_prior(each, order)
                    if prior is not None and is_valid_uid(prior.uid):
                        found.setdefault(prior, archive)
            except (AssociationError, LookupError, RetrievalError) as error:
                problems.append(f"{name}: {error}")
        return found, problems

    async def _has_body_part(
        self, rule: PrefetchConfig, order: Order, archive: AnotherArchive, uid: str
    ) -> bool:
        if not (rule.same_body_part and order.body_part):
            return True
        series = await archive.find_series(uid, {_SERIES: (), _BODY_PART: ()})
        said = (part.strip().upper() for each in series for part in texts(each, _BODY_PART))
        parts = set(filter(None, said))
        return not parts or order.body_part.upper() in parts

    async def _lacks(self, prior: Prior) -> bool:
        """Tell whether the archive has less of a study than the peer."""
        return await self.node.archive.count(of_study(prior.uid)) < max(prior.instances, 1)


def _is_arrival(change: Change) -> bool:
    return change.kind is ChangeKind.ADDED and bool(change.sequence)


def _midnight(day: date) -> float:
    return time.mktime(day.timetuple())
