"""The section of the OpenAPI 3.1 document about lifecycle."""

from typing import Any, Final

_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _query(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": True,
        "description": description,
        "schema": _TEXT,
    }


_AMOUNT: Final = {"studies": _COUNT, "instances": _COUNT, "size": _COUNT}
_QUOTA: Final = _object(quota=_TEXT, over=_TEXT, **_AMOUNT, most_bytes=_COUNT, most_studies=_COUNT)
_IN_BIN: Final = _object(
    study=_TEXT, patient=_TEXT, instances=_COUNT, size=_COUNT, deleted=_TEXT, deleted_by=_TEXT
)
_HOLD: Final = _object(study=_TEXT, reason=_TEXT, held_by=_TEXT, since=_TEXT)
_FAULT: Final = _object(key=_TEXT, kind=_TEXT, instance=_TEXT, detail=_TEXT, found=_TEXT)
_STUDY: Final = _query("study", "Study Instance UID")
_OPERATIONS: Final = (
    ("get", "/", "What somebody should look at, and how much there is",
     _object(warnings=_list(_TEXT), bin=_object(**_AMOUNT), quotas=_list(_QUOTA)), ()),
    ("get", "/bin", "What was deleted and may be had back", _object(studies=_list(_IN_BIN)), ()),
    ("post", "/bin/restore", "Restore a study", _object(instances=_COUNT), (_STUDY,)),
    ("get", "/holds", "Studies that are held", _object(holds=_list(_HOLD)), ()),
    ("post", "/holds/add", "Hold a study", _object(study=_TEXT),
     (_STUDY, _query("reason", "Why"))),
    ("post", "/holds/release", "Hold a study no more", _object(study=_TEXT), (_STUDY,)),
    ("get", "/faults", "Objects that are damaged, missing or unknown",
     _object(faults=_list(_FAULT)), ()),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary, answer, query in _OPERATIONS:
        content = {"application/json": {"schema": answer}}
        paths.setdefault(path, {})[method] = {
            "summary": summary,
            "tags": ["lifecycle"],
            "parameters": list(query),
            "responses": {"200": {"description": summary, "content": content}, "default": _PROBLEM},
        }
    return {
        "paths": paths,
        "tags": [{"name": "lifecycle", "description": "What is kept, deleted, held and damaged"}],
    }
