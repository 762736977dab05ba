"""The section of the OpenAPI 3.1 document about performed steps."""

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

from pacs_sop_mpps.steps import PerformedState
from pacs_sop_mpps.web.desk import MOST

_STEP: Final = reference("PerformedStep")
_STATE: Final = {"type": "string", "enum": list(PerformedState)}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_IN_PATH: Final = {
    "name": "instance",
    "in": "path",
    "required": True,
    "description": "SOP Instance UID",
    "schema": TEXT,
}
_KEYS: Final = {
    "name": "keys",
    "in": "query",
    "description": "Keywords of attributes with values, which match as keys of C-FIND do",
    "style": "form",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": TEXT},
    "example": {"Modality": "CT", "PerformedProcedureStepStartDate": "20260131"},
}
_SCHEMAS: Final = {
    "PerformedStep": {
        "type": "object",
        "required": ["instance", "state", "attributes"],
        "properties": {
            "instance": TEXT,
            "state": _STATE,
            "created_by": {"type": "string", "description": "AE title"},
            "created": _MOMENT,
            "changed": _MOMENT,
            "studies": list_of(TEXT),
            "missing_instances": {
                "type": ["integer", "null"],
                "description": "Of a single step: how many instances that it names are not stored",
            },
            "attributes": {"type": "object", "description": "DICOM JSON Model (PS3.18 Annex F)"},
        },
    }
}
_STEPS: Final = object_of(steps=list_of(_STEP), has_more={"type": "boolean"})
_OPERATIONS: Final = (
    Operation("get", "/", "Performed steps, latest first", _STEPS, (
        _KEYS,
        query("limit", type="integer", minimum=1, maximum=MOST),
        query("state", enum=list(PerformedState)),
        query("before", "The next page: `instance` of the last step of the one before"),
    )),
    Operation("get", "/{instance}", "A performed step", _STEP, (_IN_PATH,)),
    Operation("post", "/{instance}/discontinue", "Discontinue a step whose modality has failed",
              _STEP, (_IN_PATH,)),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    about = "What modalities say they did, or are doing"
    return describe_section("mpps", about, _OPERATIONS, _SCHEMAS)
