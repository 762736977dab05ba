"""The section of the OpenAPI 3.1 document about registrations."""

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}


def describe_api() -> dict[str, Any]:
    """Return the section."""
    content = {"application/json": {"schema": {"type": "object"}}}
    body = {"type": "object", "required": ["study"], "properties": {"study": _TEXT}}
    listed = {
        "summary": "Registrations, the latest first",
        "tags": ["xds"],
        "parameters": [
            {"name": name, "in": "query", "schema": _TEXT} for name in ("study", "state", "limit")
        ],
        "responses": {
            "200": {"description": "Registrations", "content": content},
            "default": _PROBLEM,
        },
    }
    asked = {
        "summary": "Have a study registered",
        "tags": ["xds"],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "202": {"description": "A job does it", "content": content},
            "default": _PROBLEM,
        },
    }
    tag = {"name": "xds", "description": "Studies that are shared by manifests (IHE XDS-I.b)"}
    return {"paths": {"/registrations": {"get": listed, "post": asked}}, "tags": [tag]}
