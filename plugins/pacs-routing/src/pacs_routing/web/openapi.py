"""The section of the OpenAPI 3.1 document about routes."""

from typing import Any, Final

from pacs_routing.interface import DeliveryState
from pacs_routing.web.desk import MOST

_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}
_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_STATE: Final = {"type": "string", "enum": list(DeliveryState)}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


_SCHEMAS: Final = {
    "RoutingRule": _object(rule=_TEXT, on=_TEXT, to=_list(_TEXT)),
    "RouteTotal": _object(
        rule=_TEXT, peer=_TEXT, state=_STATE, instances=_COUNT, oldest=_TEXT, latest=_TEXT
    ),
    "Delivery": _object(
        number=_COUNT, rule=_TEXT, peer=_TEXT, state=_STATE, study=_TEXT, instance=_TEXT,
        sent_as=_TEXT, status=_TEXT, reason=_TEXT, attempts=_COUNT, wanted=_TEXT, changed=_TEXT,
    ),
}  # fmt: skip


def _named(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": _TEXT | schema,
    }


_MEANT: Final = (
    _query("peer", "Name of a peer"),
    _query("rule", "Name of a rule"),
    _query("study", "Study Instance UID"),
    _query("instance", "SOP Instance UID"),
)
_TOTALS: Final = _object(rules=_list(_named("RoutingRule")), totals=_list(_named("RouteTotal")))
_FOUND: Final = _object(deliveries=_list(_named("Delivery")), has_more={"type": "boolean"})
_OPERATIONS: Final = (
    ("get", "/", "Rules, and how many deliveries are in which state", _TOTALS, ()),
    ("get", "/deliveries", "Deliveries, latest first", _FOUND, (
        *_MEANT,
        _query("state", f"With commas between them: {', '.join(DeliveryState)}"),
        _query("before", "Only numbers below this one", type="integer", minimum=1),
        _query("limit", "Deliveries at most", type="integer", minimum=1, maximum=MOST),
    )),
    ("post", "/retry", "Try again what failed or was cancelled, and at once what waits",
     _object(deliveries=_COUNT), _MEANT),
    ("post", "/cancel", "Let what waits not be sent any more", _object(deliveries=_COUNT), _MEANT),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary, answer, query in _OPERATIONS:
        content = {"application/json": {"schema": answer}}
        paths.setdefault(path, {})[method] = {
            "summary": summary,
            "tags": ["routes"],
            "parameters": list(query),
            "responses": {"200": {"description": summary, "content": content}, "default": _PROBLEM},
        }
    return {
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
        "tags": [{"name": "routes", "description": "What goes to which peers, and went"}],
    }
