"""Upkeep of the list, without anybody telling: images that come, and time that passes."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import anyio
from attrs import define

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

    async def handle(self, changes: Sequence[Change]) -> None:
        """Begin the steps of studies of which images came; complete those of complete studies."""
        worklist = self.node.find(Worklist)
        latest: dict[str, ChangeKind] = {}
        for change in changes:
            latest[change.study_instance_uid] = change.kind
        # One look for all of them: most images belong to no entry.
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
