"""Access rules on performed steps: a step is judged as the images that it makes.

Restrictions are about instances; a performed step has what those have (PS3.3 C.4.13 to C.4.15). One
of several studies exists for whoever may see images of all of them. What no step says, such as the
SOP class, may be anything: a rule about it lets no step exist, whether it allows or denies.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pacs_core.contracts import (
    Access,
    AccessAction,
    AccessTarget,
    Node,
    Origin,
    Restriction,
    surely_admits,
)
from pacs_core.dataset import Attributes, items, tag_of
from pacs_core.dimse import Command
from pacs_sop_mpps.sop_classes import MPPS
from pacs_sop_mpps.steps import SCHEDULED, PerformedStep

_BECOMES: Final[Mapping[int, int]] = {
    tag_of("PerformedProcedureStepStartDate"): tag_of("StudyDate"),
    tag_of("PerformedProcedureStepStartTime"): tag_of("StudyTime"),
    tag_of("PerformedStationName"): tag_of("StationName"),
    tag_of("RequestedProcedureDescription"): tag_of("StudyDescription"),
}
"""What attributes of a step are in images."""


async def restrictions_of(
    node: Node, origin: Origin, command: Command | None = None
) -> tuple[Restriction, ...]:
    """Return what steps exist for somebody.

    Raises
    ------
    AccessDeniedError
    """
    what = AccessTarget(sop_class_uid=MPPS, command=command)
    return await node.access.require(Access(AccessAction.WORKFLOW, origin, what))


def is_admitted(step: PerformedStep, restrictions: Sequence[Restriction]) -> bool:
    """Tell whether a step exists under restrictions."""
    if not restrictions:
        return True
    return all(
        surely_admits(each, _as_images({**step.attributes, **item}))
        for item in items(step.attributes, SCHEDULED) or ({},)
        for each in restrictions
    )


def _as_images(said: Attributes) -> Attributes:
    return {**said, **{to: said[of] for of, to in _BECOMES.items() if of in said}}
