"""Public API: performed procedure steps, for plugins that follow what modalities do."""

from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.steps import (
    PerformedSeries,
    PerformedState,
    PerformedStep,
    ScheduledStep,
)
from pacs_sop_mpps.stored import missing_instances

__all__ = [
    "PerformedProcedureSteps",
    "PerformedSeries",
    "PerformedState",
    "PerformedStep",
    "ScheduledStep",
    "missing_instances",
]
