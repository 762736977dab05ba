"""Public API: performed procedure steps, for plugins that follow what modalities do."""

from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.steps import PerformedState, PerformedStep, RefusedStepError, ScheduledStep

__all__ = [
    "PerformedProcedureSteps",
    "PerformedState",
    "PerformedStep",
    "RefusedStepError",
    "ScheduledStep",
]
