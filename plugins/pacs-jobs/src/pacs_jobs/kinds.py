"""The kinds of jobs that the plugins of a node declare."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from attrs import frozen
from cronsim import CronSim, CronSimError

from pacs_core.contracts import Contribution, Node
from pacs_jobs.jobs import JobKind


@frozen
class DeclaredKind:
    """A kind, and the plugin to blame for it."""

    kind: JobKind
    contribution: Contribution


def declared_kinds(node: Node) -> dict[str, DeclaredKind]:
    """Return the kinds by name; a plugin that declares one that is of no use is quarantined."""
    kinds: dict[str, DeclaredKind] = {}
    for contribution in node.hooks.call("pacs_job_kinds"):
        if problem := next(_problems(contribution.result, kinds), None):
            node.hooks.refuse(contribution, f"pacs_job_kinds: {problem}")
            continue
        for kind in _sequence(contribution.result):
            kinds[kind.name] = DeclaredKind(kind, contribution)
    return kinds


def next_occurrence(schedule: str, after: datetime) -> datetime:
    """Return when a cron expression is met next, in the time zone of `after`."""
    return next(CronSim(schedule, after))


def _problems(result: object, known: dict[str, DeclaredKind]) -> Iterator[str]:
    if not isinstance(result, Sequence) or not all(isinstance(each, JobKind) for each in result):
        yield f"return a list of JobKind, not {result!r:.100}"
        return
    for kind in result:
        if kind.name in known:
            yield f"{known[kind.name].contribution.source} has a kind {kind.name!r} already"
        if kind.schedule:
            try:
                next_occurrence(kind.schedule, datetime.now().astimezone())
            except (CronSimError, StopIteration) as error:
                yield f"{kind.schedule!r} of {kind.name} is no cron expression: {error}"


def _sequence(result: object) -> Sequence[JobKind]:
    assert isinstance(result, Sequence)  # noqa: S101  _problems has seen to it
    return result
