"""Public API: unified procedure steps, for plugins that hand out work, or do it."""

from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.statuses import UpsStatus
from pacs_sop_ups.steps import (
    ChangedStep,
    EventType,
    ProcedureStep,
    StepEvent,
)
from pacs_sop_ups.transitions import StepState

__all__ = [
    "ChangedStep",
    "EventType",
    "ProcedureStep",
    "StepEvent",
    "StepState",
    "UnifiedProcedureSteps",
    "UpsStatus",
]
