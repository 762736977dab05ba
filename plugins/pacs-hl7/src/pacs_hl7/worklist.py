"""The worklist, if there is one (pacs-sop-worklist): takes orders."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pacs_core.api.attribute_lists import first
from pacs_core.api.streams import closing
from pacs_core.contracts import Node, SingleValue
from pacs_core.dataset import Attributes, items, tag_of
from pacs_hl7.messages import Fault, MessageError
from pacs_hl7.orders import Control, Order

if TYPE_CHECKING:
    from pacs_sop_worklist.api import Worklist

_HAS_WORKLIST: Final = find_spec("pacs_sop_worklist") is not None
_STUDY, _PROCEDURE = tag_of("StudyInstanceUID"), tag_of("RequestedProcedureID")
_SEQUENCE, _STEP = tag_of("ScheduledProcedureStepSequence"), tag_of("ScheduledProcedureStepID")
SOURCE: Final = "hl7"


async def take_order(node: Node, order: Order) -> str:
    """Put a step of an order on the worklist, or take it off; return what was done.

    Raises
    ------
    MessageError
        There is no worklist, or an attribute is missing that an entry must have.
    """
    worklist = _worklist_of(node)
    if worklist is None:
        text = "there is no worklist here for orders; install pacs-sop-worklist"
        raise MessageError(text, Fault.UNSUPPORTED_MESSAGE_TYPE, is_rejected=True)
    from pacs_sop_worklist.api import InvalidStepError, steps_of

    if order.control is Control.CANCEL:
        return await _cancel(worklist, order.attributes)
    try:
        steps = list(steps_of(order.attributes))
    except InvalidStepError as error:
        raise MessageError(str(error), Fault.REQUIRED_FIELD_MISSING) from error
    changed = await worklist.put(steps, SOURCE)
    return f"worklist: {changed} of study {first(order.attributes, _STUDY)}"


async def _cancel(worklist: "Worklist", wanted: Attributes) -> str:
    from pacs_sop_worklist.api import StepState

    study = first(wanted, _STUDY)
    if not study:
        raise MessageError("nothing says which order is cancelled", Fault.REQUIRED_FIELD_MISSING)
    procedure = first(wanted, _PROCEDURE)
    step = first(items(wanted, _SEQUENCE)[0], _STEP)
    async with closing(worklist.search([SingleValue(_STUDY, study)])) as steps:
        found = [
            listed.number
            async for listed in steps
            if listed.source == SOURCE
            and first(listed.step.attributes, _PROCEDURE) == procedure
            and first(listed.step.item, _STEP) == step
        ]
    ended = [number for number in found if await worklist.set_state(number, StepState.CANCELED)]
    return f"worklist: {len(ended)} of study {study} cancelled"


def _worklist_of(node: Node) -> "Worklist | None":
    if not _HAS_WORKLIST:
        return None
    from pacs_sop_worklist.api import Worklist

    return node.find(Worklist) if node.capabilities.provides(Worklist) else None
