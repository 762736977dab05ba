"""The end of a step whose modality has failed, by hand (PS3.4 F.7.2.2.3, note 2)."""

from datetime import datetime
from typing import Final

from pacs_core.contracts import AuditCode, PluginAuditKind
from pacs_core.dataset import Attributes, tag_of
from pacs_sop_mpps.steps import STATUS, PerformedState

DISCONTINUED: Final = PluginAuditKind(
    "mpps.discontinued", AuditCode("110111", "DCM", "Procedure Record")
)
_END_DATE: Final = tag_of("PerformedProcedureStepEndDate")
_END_TIME: Final = tag_of("PerformedProcedureStepEndTime")


def discontinue_at(moment: datetime) -> Attributes:
    """Return the modifications that discontinue a step."""
    return {
        STATUS: (str(PerformedState.DISCONTINUED),),
        _END_DATE: (moment.strftime("%Y%m%d"),),
        _END_TIME: (moment.strftime("%H%M%S"),),
    }
