"""Studies that are complete by what modalities have said: all steps ended, all images there."""

from attrs import define

from pacs_core.api.streams import closing
from pacs_core.contracts import Node, StudyCompleteness
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.steps import PerformedState
from pacs_sop_mpps.stored import missing_instances


@define(eq=False)
class StepCompleteness(StudyCompleteness):
    """Goes by the performed steps of a study (PS3.4 F.7).

    A study is complete if a step of it is COMPLETED and none is IN PROGRESS, and every instance
    that they refer to (Table F.7.2-1, Performed Series Sequence) is in the archive.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def is_complete(self, study_instance_uid: str) -> bool:
        """See base."""
        steps = self.node.find(PerformedProcedureSteps)
        made = 0
        async with closing(steps.search(study=study_instance_uid)) as found:
            async for step in found:
                if step.state is PerformedState.IN_PROGRESS:
                    return False
                if step.state is PerformedState.COMPLETED:
                    made += sum(len(series.instances) for series in step.series)
                    if await missing_instances(self.node.archive, step):
                        return False
        return made > 0
