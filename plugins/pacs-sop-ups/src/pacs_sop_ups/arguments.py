"""Arguments of ``pacs ups`` as attributes, and attributes as it prints them."""

from collections.abc import Iterable
from datetime import datetime

from pacs_core.api.commands import UsageError, parse_pairs
from pacs_core.dataset import Attributes, MutableAttributes, items, keyword_of, tag_of, vr_of
from pacs_sop_ups.matching import read_keys
from pacs_sop_ups.steps import PERFORMED, STATIONS, ProcedureStep

_WORKITEM, _DONE = tag_of("ScheduledWorkitemCodeSequence"), tag_of("PerformedWorkitemCodeSequence")
_STATION = tag_of("PerformedStationNameCodeSequence")
_BEGUN = tag_of("PerformedProcedureStepStartDateTime")
_ENDED = tag_of("PerformedProcedureStepEndDateTime")
_CODE = tuple(map(tag_of, ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")))
_HERE: Attributes = {
    tag: (text,) for tag, text in zip(_CODE, ("PACS", "99PACS", "this archive"), strict=True)
}


def read_attributes(words: Iterable[str]) -> MutableAttributes:
    """Return attributes that were given by keyword; a code has the form VALUE^SCHEME^MEANING."""
    try:
        given = read_keys(parse_pairs(words))
    except ValueError as error:
        raise UsageError(str(error)) from error
    for tag, values in given.items():
        if vr_of(tag) == "SQ" and any(isinstance(value, str) for value in values):
            parts = str(values[0]).split("^")
            if not keyword_of(tag).endswith("CodeSequence") or len(parts) != 3:
                raise UsageError(f"{keyword_of(tag)}: a code is VALUE^SCHEME^MEANING")
            given[tag] = ({each: (part,) for each, part in zip(_CODE, parts, strict=True)},)
    return given


def performed_item(step: ProcedureStep) -> Attributes:
    """Return the item of Performed Procedure Sequence, with what its end demands."""
    item: MutableAttributes = dict(next(iter(items(step.attributes, PERFORMED)), {}))
    now = date_time(None)
    for tag, values in (
        (_STATION, step.attributes.get(STATIONS, ()) or (_HERE,)),
        (_DONE, step.attributes.get(_WORKITEM, ()) or (_HERE,)),
        (_BEGUN, (now,)),
        (_ENDED, (now,)),
    ):
        item[tag] = item.get(tag) or values
    return item


def date_time(moment: datetime | None) -> str:
    """Return a moment, or this one, as a DT (PS3.5 Table 6.2-1)."""
    return (moment or datetime.now()).strftime("%Y%m%d%H%M%S")
