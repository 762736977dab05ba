"""Upkeep of the list, without anybody telling: images that come, and time that passes."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import anyio
from attrs import define, field

from pacs_core.contracts import (
    Change,
    ChangeConsumer,
    ChangeKind,
    KeyMatching,
    Node,
    Service,
    Started,
)
from pacs_core.dataset import texts
from pacs_sop_worklist.config import WorklistConfig
from pacs_sop_worklist.interface import Worklist
from pacs_sop_worklist.steps import ENDED, STUDY_UID, StepState

_PAUSE: Final = 600.0
_NOT_BEGUN: Final = frozenset({StepState.SCHEDULED, StepState.ARRIVED, StepState.READY})

CHANGES: Final = frozenset({ChangeKind.ADDED, ChangeKind.STUDY_COMPLETE})

LOOK_AGAIN: Final = 5.0
"""Seconds for which a study whose images come, and have no step to begin, is not looked up again.

Most images belong to no entry, or to one that their first image has begun; and to ask a database
some times a second took a tenth of what storing them took. A step that is put on the list
meanwhile begins with a later image, or when the study is complete.
"""
_REMEMBERED: Final = 1000


@define(eq=False)
class FollowStudies(ChangeConsumer):
    """Moves steps on by the images of their studies, as long as no performed step speaks for them.

    Parameters
    ----------
    node : Node
    config : WorklistConfig
    """

    node: Node
    config: WorklistConfig
    _looked_up: dict[str, float] = field(factory=dict, init=False)
    """When studies were, of those without a step to begin."""

    async def handle(self, changes: Sequence[Change]) -> None:
        """Begin the steps of studies of which images came; complete those of complete studies."""
        worklist = self.node.find(Worklist)
        latest: dict[str, ChangeKind] = {}
        for change in changes:
            latest[change.study_instance_uid] = change.kind
        latest = {uid: kind for uid, kind in latest.items() if self._is_due(uid, kind)}
        if not latest:
            return
        # One look for all of them.
        conditions = KeyMatching().conditions({STUDY_UID: tuple(latest)}, (STUDY_UID,))
        found = [listed async for listed in worklist.search(conditions)]
        for listed in found:
            if listed.performed or listed.step.state in ENDED:
                continue
            kind = latest[texts(listed.step.attributes, STUDY_UID)[0]]
            is_over = kind is ChangeKind.STUDY_COMPLETE and self.config.complete_with_study
            if is_over:
                state = StepState.COMPLETED
            elif listed.step.state in _NOT_BEGUN:
                state = StepState.STARTED
            else:
                continue
            await worklist.set_state(listed.number, state, unless_performed=True)
        self._remember(latest)

    def _is_due(self, study: str, kind: ChangeKind) -> bool:
        if kind is ChangeKind.STUDY_COMPLETE:
            return True
        return time.monotonic() >= self._looked_up.get(study, -LOOK_AGAIN) + LOOK_AGAIN

    def _remember(self, latest: dict[str, ChangeKind]) -> None:
        """Remember which studies were looked up: what begins has begun with that."""
        now = time.monotonic()
        for study, kind in latest.items():
            self._looked_up.pop(study, None)  # so that the oldest stay first
            if kind is not ChangeKind.STUDY_COMPLETE:
                self._looked_up[study] = now
        while len(self._looked_up) > _REMEMBERED:
            del self._looked_up[next(iter(self._looked_up))]


@define(eq=False)
class Expiry(Service):
    """Forgets steps that have ended, and those that were to begin and never did.

    Parameters
    ----------
    node : Node
    config : WorklistConfig
    """

    node: Node
    config: WorklistConfig

    async def run(self, started: Started) -> None:
        """Forget now and then, until cancelled."""
        worklist = self.node.find(Worklist)
        started()
        while True:
            due = datetime.now() - timedelta(days=self.config.expire)
            await worklist.forget(
                ended_before=time.time() - self.config.keep_finished * 86400,
                due_before=due.strftime("%Y%m%d %H%M%S"),
            )
            await anyio.sleep(_PAUSE)
