"""The kinds of jobs of lifecycle: each is there if the configuration asks for it."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, Final

from attrs import field, frozen
from pacs_jobs.api import JobHandler, JobKind

from pacs_core.contracts import Node
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.interface import (
    CLEAN_JOB,
    COUNT_JOB,
    PREFETCH_JOB,
    QUOTA_JOB,
    Findings,
    Quotas,
    Studies,
    WaitingBin,
)

_DAY: Final = 24 * 3600.0


@frozen
class _Kind:
    """A kind; `handler` is a module of this package, and a class in it, imported when it is needed.

    What else there is are settings of :class:`JobKind`.
    """

    name: str
    handler: str
    description: str
    is_wanted: Callable[[LifecycleConfig], object]
    requires: tuple[type, ...]
    schedule: Callable[[LifecycleConfig], str] = lambda _: ""
    more: dict[str, Any] = field(factory=dict)


_KINDS: Final = (
    _Kind(
        "lifecycle.empty", "jobs:EmptyHandler",
        "Removes what has waited in the bin for long enough.",
        lambda _: True, (WaitingBin,), lambda config: config.bin.schedule,
    ),
    _Kind(
        "lifecycle.sweep", "jobs:SweepHandler", "Deletes studies, by the rules.",
        lambda config: config.rules, (Studies, WaitingBin), lambda config: config.schedule,
    ),
    _Kind(
        CLEAN_JOB, "cleaning:CleanHandler",
        "Makes room: the bin first, then the oldest studies that rules let go.",
        lambda config: config.room.clean_below, (Studies, WaitingBin), more={"attempts": 1},
    ),
    _Kind(
        QUOTA_JOB, "cleaning:QuotaHandler", "Deletes what is over a quota.",
        lambda config: config.quotas, (Studies, Quotas), lambda config: config.schedule,
    ),
    _Kind(
        COUNT_JOB, "cleaning:CountHandler", "Counts anew what a quota is about.",
        lambda config: config.quotas, (Studies, Quotas),
    ),
    _Kind(
        "lifecycle.scrub", "scrubbing:ScrubHandler",
        "Reads all objects again, and compares them.",
        lambda config: config.scrub.every, (Studies, Findings),
        lambda config: config.scrub.schedule,
    ),
    _Kind(
        "lifecycle.check", "checking:CheckHandler", "Compares index and store.",
        lambda config: config.check.schedule, (Findings,), lambda config: config.check.schedule,
    ),
    _Kind(
        PREFETCH_JOB, "prefetching:PrefetchHandler", "Fetches priors from other archives.",
        lambda config: config.prefetch, (),
        more={"concurrency": 2, "attempts": 12, "first_pause": 30.0},
    ),
)  # fmt: skip


def job_kinds(config: LifecycleConfig) -> Iterator[JobKind]:
    """Yield the kinds of jobs that a configuration asks for."""
    for kind in _KINDS:
        if kind.is_wanted(config):
            usual = {"attempts": 3, "first_pause": 60.0, "timeout": _DAY}
            yield JobKind(
                kind.name,
                partial(_create, kind.handler, config),
                kind.description,
                schedule=kind.schedule(config),
                requires=kind.requires,
                **{**usual, **kind.more},
            )


def _create(handler: str, config: LifecycleConfig, node: Node) -> JobHandler:
    module, _, name = handler.partition(":")
    made: JobHandler = getattr(import_module(f"pacs_lifecycle.{module}"), name)(node, config)
    return made
