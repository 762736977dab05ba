"""Public API: the worklist, for plugins that feed it, or tell how far a step has come."""

from pacs_sop_worklist.interface import ListedStep, Worklist
from pacs_sop_worklist.steps import InvalidStepError, Step, StepState, steps_of

__all__ = ["InvalidStepError", "ListedStep", "Step", "StepState", "Worklist", "steps_of"]
