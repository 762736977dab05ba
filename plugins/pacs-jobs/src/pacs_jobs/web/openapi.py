"""The section of the OpenAPI 3.1 document about jobs."""

import re
from typing import Any, Final

from pacs_jobs.description import FIELDS
from pacs_jobs.jobs import JobState
from pacs_jobs.web.desk import ENDED, MOST

_TYPES: Final = {str: "string", int: "integer", bool: "boolean", dict: "object"}
_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
_JOB: Final = {"$ref": "#/components/schemas/Job"}
_JOBS: Final = {
    "type": "object",
    "required": ["jobs", "has_more"],
    "properties": {"jobs": {"type": "array", "items": _JOB}, "has_more": {"type": "boolean"}},
}
_FORGOTTEN: Final = {
    "type": "object",
    "required": ["forgotten"],
    "properties": {"forgotten": {"type": "integer"}},
}


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    schema = {"type": "string"} | schema
    return {"name": name, "in": "query", "description": description, "schema": schema}


_KIND: Final = _query("kind", "Kinds, with commas between them")
_OPERATIONS: Final = (
    ("get", "/", "Jobs, latest first", _JOBS, (
        _query("state", f"With commas between them: {', '.join(JobState)}"),
        _KIND,
        _query("key", "Key of the jobs"),
        _query("before", "Only numbers below this one", type="integer", minimum=1),
        _query("limit", "Jobs at most", type="integer", minimum=1, maximum=MOST),
    )),
    ("post", "/purge", "Forget jobs that have ended", _FORGOTTEN, (
        _query("state", f"{', '.join(ENDED)}; without it those that succeeded"),
        _KIND,
        _query("older_than", "Days since they ended", type="number", minimum=0),
    )),
    ("get", "/{number}", "A job", _JOB, ()),
    ("post", "/{number}/retry", "Let a job that was given up wait again", _JOB, ()),
    ("post", "/{number}/cancel", "Cancel a job, or ask its worker to", _JOB, ()),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary, answer, query in _OPERATIONS:
        number = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
        content = {"application/json": {"schema": answer}}
        paths.setdefault(path, {})[method] = {
            "summary": summary,
            "tags": ["jobs"],
            "parameters": [*([number] if re.search("{number}", path) else []), *query],
            "responses": {"200": {"description": summary, "content": content}, "default": _PROBLEM},
        }
    properties: dict[str, Any] = {name: {"type": _TYPES[kind]} for name, kind in FIELDS.items()}
    properties["state"] |= {"enum": list(JobState)}
    job = {"type": "object", "required": list(FIELDS), "properties": properties}
    return {
        "paths": paths,
        "components": {"schemas": {"Job": job}},
        "tags": [{"name": "jobs", "description": "Work that is done later, or again"}],
    }
