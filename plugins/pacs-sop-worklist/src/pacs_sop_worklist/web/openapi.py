"""The section of the OpenAPI 3.1 document about the worklist."""

from typing import Any, Final

from pacs_web.api.openapi import (
    TEXT,
    Operation,
    describe_section,
    list_of,
    object_of,
    query,
    reference,
)

from pacs_sop_worklist.steps import StepState
from pacs_sop_worklist.web.desk import MOST

_STEP: Final = reference("WorklistStep")
_NUMBER: Final = {"type": "integer"}
_DATASET: Final = {"type": "object", "description": "DICOM JSON Model (PS3.18 Annex F)"}
_KEYS: Final = {
    "name": "keys",
    "in": "query",
    "description": "Keywords of attributes with values, which match as keys of C-FIND do",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "example": {"Modality": "CT", "ScheduledProcedureStepStartDate": "20260131"},
}
_IN_PATH: Final = {"name": "number", "in": "path", "required": True, "schema": _NUMBER}
_SCHEMAS: Final = {
    "WorklistStep": object_of(
        number=_NUMBER,
        state={"type": "string", "enum": list(StepState)},
        source=TEXT,
        performed=TEXT,
        attributes=_DATASET,
    )
}
_ENTRIES: Final[dict[str, dict[str, Any]]] = {
    "application/dicom+json": {"oneOf": [_DATASET, list_of(_DATASET)]},
    "application/dicom": {"type": "string", "format": "binary"},
}
_OPERATIONS: Final = (
    Operation("get", "/", "Steps by their start",
              object_of(steps=list_of(_STEP), has_more={"type": "boolean"}), (
        _KEYS,
        query("limit", type="integer", minimum=1, maximum=MOST),
        query("all", "Also steps that are no longer on the list", type="boolean"),
        query("after", "The next page: `number` of the last step of the one before",
              type="integer"),
    )),
    Operation("post", "/", "Put steps on the list, or update them",
              object_of(numbers=list_of(_NUMBER)), body=_ENTRIES, status="201"),
    Operation("get", "/{number}", "A step", _STEP, (_IN_PATH,)),
    Operation("post", "/{number}/cancel", "Take a step off the list",
              object_of(number=_NUMBER, state={"const": str(StepState.CANCELED)}), (_IN_PATH,)),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    about = "What is to be examined, where and when"
    return describe_section("worklist", about, _OPERATIONS, _SCHEMAS)
