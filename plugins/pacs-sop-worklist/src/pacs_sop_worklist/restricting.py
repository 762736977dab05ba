"""Access rules on steps: a step is judged as the images that it asks for will be.

Restrictions are about instances, of which there are none yet. What an order says is what those will
say (PS3.3 C.4.10 to C.4.12; PS3.17 Annex J has what becomes what), so a rule about a modality, a
department or a patient means the same before the examination as after it. What an order does not
say, such as the SOP class, nobody knows: whoever may see images of one SOP class only, or of all
but one, sees no step.
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
from pacs_core.dataset import Attributes, tag_of
from pacs_core.dimse import Command
from pacs_sop_worklist.steps import SEQUENCE, START_DATE, START_TIME, Step

MODALITY_WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"

_BECOMES: Final[Mapping[int, int]] = {
    START_DATE: tag_of("StudyDate"),
    START_TIME: tag_of("StudyTime"),
    tag_of("RequestedProcedureDescription"): tag_of("StudyDescription"),
    tag_of("RequestedProcedureCodeSequence"): tag_of("ProcedureCodeSequence"),
    tag_of("ScheduledPerformingPhysicianName"): tag_of("PerformingPhysicianName"),
}
"""What attributes of an order become in images."""


async def restrictions_of(
    node: Node, action: AccessAction, origin: Origin, command: Command | None = None
) -> tuple[Restriction, ...]:
    """Return what steps exist for somebody, who may do something with them.

    Raises
    ------
    AccessDeniedError
    """
    what = AccessTarget(sop_class_uid=MODALITY_WORKLIST_FIND, command=command)
    return await node.access.require(Access(action, origin, what))


def is_admitted(step: Step, restrictions: Sequence[Restriction]) -> bool:
    """Tell whether a step exists under restrictions."""
    if not restrictions:
        return True
    attributes = _as_images(step)
    return all(surely_admits(each, attributes) for each in restrictions)


def _as_images(step: Step) -> Attributes:
    said = {**step.attributes, **step.item}
    del said[SEQUENCE]
    becoming = {to: said[of] for of, to in _BECOMES.items() if of in said}
    return {**becoming, **said}
