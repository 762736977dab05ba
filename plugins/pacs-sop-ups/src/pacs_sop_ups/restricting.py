"""Access rules on procedure steps: a step is judged as the images that it is about.

Restrictions are about instances; a step has what those of its studies have. One of several requests
exists for whoever may see images of all of them. What no step says, such as the SOP class of
images, may be anything: a rule about it lets no step exist, whether it allows or denies.
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
from pacs_sop_ups.sop_classes import UPS_PUSH
from pacs_sop_ups.steps import REQUESTS, ProcedureStep

_BECOMES: Final[Mapping[int, int]] = {
    tag_of("RequestedProcedureDescription"): tag_of("StudyDescription"),
    tag_of("RequestedProcedureCodeSequence"): tag_of("ProcedureCodeSequence"),
}
"""What attributes of a step are in images."""


async def restrictions_of(
    node: Node, action: AccessAction, origin: Origin, command: Command | None = None
) -> tuple[Restriction, ...]:
    """Return what steps exist for somebody, who may do something with them.

    Raises
    ------
    AccessDeniedError
    """
    what = AccessTarget(sop_class_uid=UPS_PUSH, command=command)
    return await node.access.require(Access(action, origin, what))


async def restrictions_on_telling(
    node: Node, receiver: str, origin: Origin, command: Command | None = None
) -> tuple[Restriction, ...]:
    """Return of what steps somebody may have a receiver told, or no longer told.

    That is to see steps; to have another told, or who has no AE title oneself, is to send them to a
    third party besides, as C-MOVE does.

    Raises
    ------
    AccessDeniedError
    """
    allowed = await restrictions_of(node, AccessAction.QUERY, origin, command)
    if receiver == origin.calling_ae_title:
        return allowed
    what = AccessTarget(sop_class_uid=UPS_PUSH, destination=receiver, command=command)
    return allowed + await node.access.require(Access(AccessAction.MOVE, origin, what))


def is_admitted(step: ProcedureStep, restrictions: Sequence[Restriction]) -> bool:
    """Tell whether a step exists under restrictions."""
    if not restrictions:
        return True
    asked: Sequence[Attributes] = items(step.attributes, REQUESTS) or ({},)
    return all(
        surely_admits(each, _as_images({**step.attributes, **_with_values(item)}))
        for item in asked
        for each in restrictions
    )


def _with_values(item: Attributes) -> Attributes:
    return {tag: values for tag, values in item.items() if values}


def _as_images(said: Attributes) -> Attributes:
    return {**{to: said[of] for of, to in _BECOMES.items() if of in said}, **said}
