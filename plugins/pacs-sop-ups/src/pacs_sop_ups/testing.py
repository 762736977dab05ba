"""Attributes of procedure steps, for tests of plugins that hand out work."""

from typing import Final

from pacs_core.dataset import MutableAttributes, tag_of
from pacs_sop_ups.rules import RULES, Rule
from pacs_sop_ups.steps import STATE
from pacs_sop_ups.transitions import StepState

_VALUES: Final = {"UI": "1.2.3", "DA": "19700101", "DT": "20260131093000", "PN": "Doe^Jane"}
_OWN: Final = {
    STATE: str(StepState.SCHEDULED),
    tag_of("ScheduledProcedureStepPriority"): "MEDIUM",
    tag_of("InputReadinessState"): "READY",
}
_CODE: Final = {
    tag_of("CodeValue"): ("1",),
    tag_of("CodingSchemeDesignator"): ("99TEST",),
    tag_of("CodeMeaning"): ("one",),
}


def sample_attributes(rules: tuple[Rule, ...] = RULES) -> MutableAttributes:
    """Return attributes with a value for each that N-CREATE may give one.

    Parameters
    ----------
    rules : tuple of Rule

    Returns
    -------
    dict
        Of a step that is scheduled.
    """
    attributes: MutableAttributes = {}
    for rule in rules:
        if rule.create == "0":
            attributes[rule.tag] = ()
        elif rule.is_code:
            attributes[rule.tag] = (_CODE,)
        elif rule.vr == "SQ":
            attributes[rule.tag] = (sample_attributes(rule.rules) or _CODE,)
        elif rule.create != "-":
            attributes[rule.tag] = (_OWN.get(rule.tag, _VALUES.get(rule.vr, "x")),)
    return attributes


def performed_attributes() -> MutableAttributes:
    """Return what a performer sets before it completes a step."""
    item: MutableAttributes = {
        tag_of("PerformedStationNameCodeSequence"): (_CODE,),
        tag_of("PerformedStationClassCodeSequence"): (),
        tag_of("PerformedStationGeographicLocationCodeSequence"): (),
        tag_of("PerformedProcedureStepStartDateTime"): ("20260131093000",),
        tag_of("PerformedWorkitemCodeSequence"): (_CODE,),
        tag_of("PerformedProcedureStepEndDateTime"): ("20260131094500",),
        tag_of("OutputInformationSequence"): (),
    }
    return {tag_of("UnifiedProcedureStepPerformedProcedureSequence"): (item,)}
