"""The section of the OpenAPI 3.1 document about registrations."""

from typing import Any, Final

from pacs_web.api.openapi import TEXT, Operation, describe_section, object_of, query

_OBJECT: Final = {"type": "object"}
_OPERATIONS: Final = (
    Operation("get", "/registrations", "Registrations, the latest first", _OBJECT,
              tuple(query(name) for name in ("study", "state", "limit"))),
    Operation("post", "/registrations", "Have a study registered, by a job", _OBJECT,
              body={"application/json": object_of(study=TEXT)}, status="202"),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    return describe_section(
        "xds", "Studies that are shared by manifests (IHE XDS-I.b)", _OPERATIONS
    )
