"""Public API for plugins that ask services in a way of their own, or want to have them asked."""

from pacs_ai.config import ServiceConfig
from pacs_ai.interface import (
    Answer,
    InferenceAdapter,
    InferenceAdapterDescriptor,
    Inferences,
    Inputs,
    ResultTaker,
    ServiceAwayError,
    ServiceError,
    ServiceRefusedError,
)
from pacs_ai.models import (
    Assessment,
    InferenceInput,
    InferenceRequest,
    InferenceResult,
    RequestFilter,
    RequestState,
    ResultFinding,
    ResultState,
    ServiceTotal,
)

__all__ = [
    "Answer",
    "Assessment",
    "InferenceAdapter",
    "InferenceAdapterDescriptor",
    "InferenceInput",
    "InferenceRequest",
    "InferenceResult",
    "Inferences",
    "Inputs",
    "RequestFilter",
    "RequestState",
    "ResultFinding",
    "ResultState",
    "ResultTaker",
    "ServiceAwayError",
    "ServiceConfig",
    "ServiceError",
    "ServiceRefusedError",
    "ServiceTotal",
]
