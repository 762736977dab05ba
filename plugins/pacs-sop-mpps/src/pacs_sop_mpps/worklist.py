"""Jobs that tell the worklist how far its steps have come.

Theory of operation
-------------------
A job looks at how things stand now, not at what happened: so it may run late, twice, or after the
next one. An entry is STARTED while any performed step of it is in progress, COMPLETED if none is
and one was completed, and DISCONTINUED if all were: a step that was broken off and begun again is
not over, and one whose repetition was broken off is done.

An entry belongs to a performed step if its study is the one of an item of the Scheduled Step
Attributes Sequence, or one that the item refers to, and its Scheduled Procedure Step ID is the
item's. Where the item has none, as with steps that were grouped or typed in by hand, the entry
must be the only one of its study. Where no study fits, accession number and step ID do.
"""

import logging
from collections.abc import AsyncIterator

from attrs import define
from pacs_jobs.api import JobHandler, RunningJob
from pacs_sop_worklist.api import ListedStep, StepState, Worklist

from pacs_core.api.attribute_lists import first
from pacs_core.contracts import Node, SingleValue
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.steps import (
    ACCESSION,
    STEP_ID,
    STUDY_UID,
    PerformedState,
    PerformedStep,
    ScheduledStep,
)

logger = logging.getLogger(__name__)

_BY_URGENCY = (
    (PerformedState.IN_PROGRESS, StepState.STARTED),
    (PerformedState.COMPLETED, StepState.COMPLETED),
    (PerformedState.DISCONTINUED, StepState.DISCONTINUED),
)


@define(eq=False)
class TellWorklist(JobHandler):
    """Moves the entries of a performed step on."""

    node: Node

    async def run(self, job: RunningJob) -> None:
        """Look at the step as it is now, and at the others of its entries."""
        if not self.node.capabilities.provides(Worklist):
            return
        worklist, steps = self.node.find(Worklist), self.node.find(PerformedProcedureSteps)
        try:
            step = await steps.find(job.arguments["instance"])
        except KeyError:
            return  # It has been forgotten meanwhile.
        found = False
        for scheduled in step.scheduled:
            async for listed in _entries(worklist, scheduled):
                found = True
                state = await _state(steps, step, listed)
                if (listed.step.state, listed.performed) != (state, step.instance_uid):
                    await worklist.set_state(listed.number, state, performed=step.instance_uid)
        if not found:
            logger.info("%s is on no worklist: it was not scheduled here", step.instance_uid)


async def _entries(worklist: Worklist, scheduled: ScheduledStep) -> AsyncIterator[ListedStep]:
    """Iterate over the entries that a performed step says it was scheduled as."""
    found = [
        listed
        for uid in dict.fromkeys(scheduled.studies)
        async for listed in worklist.search([SingleValue(STUDY_UID, uid)], with_ended=True)
    ]
    if not found and scheduled.accession_number and scheduled.step_id:
        accession = SingleValue(ACCESSION, scheduled.accession_number)
        found = [listed async for listed in worklist.search([accession], with_ended=True)]
    if not scheduled.step_id and len(found) > 1:
        return
    for listed in found:
        if scheduled.step_id in ("", first(listed.step.item, STEP_ID)):
            yield listed


async def _state(
    steps: PerformedProcedureSteps, step: PerformedStep, listed: ListedStep
) -> StepState:
    """Return how far an entry has come by all performed steps that say they are of it."""
    study, step_id = first(listed.step.attributes, STUDY_UID), first(listed.step.item, STEP_ID)
    states = {step.state}
    async for other in steps.search(study=study):
        if any(each.step_id == step_id for each in other.scheduled):
            states.add(other.state)
    return next(scheduled for performed, scheduled in _BY_URGENCY if performed in states)
