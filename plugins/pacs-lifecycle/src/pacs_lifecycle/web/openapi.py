"""The section of the OpenAPI 3.1 document about lifecycle."""

from typing import Any, Final

from pacs_web.api.openapi import (
    COUNT,
    TEXT,
    Operation,
    describe_section,
    list_of,
    object_of,
    query,
)

_AMOUNT: Final = {"studies": COUNT, "instances": COUNT, "size": COUNT}
_QUOTA: Final = object_of(quota=TEXT, over=TEXT, **_AMOUNT, most_bytes=COUNT, most_studies=COUNT)
_IN_BIN: Final = object_of(
    study=TEXT, patient=TEXT, instances=COUNT, size=COUNT, deleted=TEXT, deleted_by=TEXT
)
_HOLD: Final = object_of(study=TEXT, reason=TEXT, held_by=TEXT, since=TEXT)
_FAULT: Final = object_of(key=TEXT, kind=TEXT, instance=TEXT, detail=TEXT, found=TEXT)
_STUDY: Final = query("study", "Study Instance UID", required=True)
_REASON: Final = query("reason", "Why", required=True)
_OPERATIONS: Final = (
    Operation("get", "/", "What somebody should look at, and how much there is",
              object_of(warnings=list_of(TEXT), bin=object_of(**_AMOUNT), quotas=list_of(_QUOTA))),
    Operation("get", "/bin", "What was deleted and may be had back",
              object_of(studies=list_of(_IN_BIN))),
    Operation("post", "/bin/restore", "Restore a study", object_of(instances=COUNT), (_STUDY,)),
    Operation("get", "/holds", "Studies that are held", object_of(holds=list_of(_HOLD))),
    Operation("post", "/holds/add", "Hold a study", object_of(study=TEXT), (_STUDY, _REASON)),
    Operation("post", "/holds/release", "Hold a study no more", object_of(study=TEXT), (_STUDY,)),
    Operation("get", "/faults", "Objects that are damaged, missing or unknown",
              object_of(faults=list_of(_FAULT))),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    return describe_section("lifecycle", "What is kept, deleted, held and damaged", _OPERATIONS)
