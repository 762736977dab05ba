"""The section of the OpenAPI 3.1 document about jobs."""

from typing import Any, Final

from pacs_web.api.openapi import (
    Operation,
    describe_section,
    list_of,
    object_of,
    query,
    reference,
)

from pacs_jobs.description import FIELDS
from pacs_jobs.jobs import JobState
from pacs_jobs.web.desk import ENDED, MOST

_TYPES: Final = {str: "string", int: "integer", bool: "boolean", dict: "object"}
_JOB: Final = reference("Job")
_JOBS: Final = object_of(jobs=list_of(_JOB), has_more={"type": "boolean"})
_KIND: Final = query("kind", "Kinds, with commas between them")
_NUMBER: Final = (
    {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}},
)
_OPERATIONS: Final = (
    Operation("get", "/", "Jobs, latest first", _JOBS, (
        query("state", f"With commas between them: {', '.join(JobState)}"),
        _KIND,
        query("key", "Key of the jobs"),
        query("before", "Only numbers below this one", type="integer", minimum=1),
        query("limit", "Jobs at most", type="integer", minimum=1, maximum=MOST),
    )),
    Operation("post", "/purge", "Forget jobs that have ended",
              object_of(forgotten={"type": "integer"}), (
        query("state", f"{', '.join(ENDED)}; without it those that succeeded"),
        _KIND,
        query("older_than", "Days since they ended", type="number", minimum=0),
    )),
    Operation("get", "/{number}", "A job", _JOB, _NUMBER),
    Operation("post", "/{number}/retry", "Let a job that was given up wait again", _JOB, _NUMBER),
    Operation("post", "/{number}/cancel", "Cancel a job, or ask its worker to", _JOB, _NUMBER),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    properties: dict[str, Any] = {name: {"type": _TYPES[kind]} for name, kind in FIELDS.items()}
    properties["state"] |= {"enum": list(JobState)}
    schemas = {"Job": object_of(**properties)}
    return describe_section("jobs", "Work that is done later, or again", _OPERATIONS, schemas)
