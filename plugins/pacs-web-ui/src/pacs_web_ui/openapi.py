"""The section of the OpenAPI 3.1 document, generated from the models."""

import re
from collections.abc import Sequence
from typing import Any, Final, get_args, get_origin

from attrs import fields, has

from pacs_web_ui.changes import EchoAnswer
from pacs_web_ui.models import NodeSummary, PeerStatus, SectionStatus, SendReport
from pacs_web_ui.studies import FILTERS, SORTABLE, Instance, Series, Study, StudyPage

_SCALARS: Final = {str: "string", int: "integer", bool: "boolean", float: "number"}
_MODELS: Final = (
    Study, StudyPage, Series, Instance, NodeSummary, SectionStatus, PeerStatus, SendReport,
    EchoAnswer,
)  # fmt: skip
_PROBLEM: Final = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"type": "object"}}},
}


def schema_of(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type: a model by reference."""
    if has(kind):
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    if get_origin(kind) in (tuple, list):
        return {"type": "array", "items": schema_of(get_args(kind)[0])}
    return {"type": _SCALARS[kind]}


def _model(kind: Any) -> dict[str, Any]:
    properties = {field.name: schema_of(field.type) for field in fields(kind)}
    description = (kind.__doc__ or "").strip()
    return {"type": "object", "description": description, "properties": properties,
            "required": list(properties)}  # fmt: skip


def _operation(
    summary: str, answer: Any, path: str, query: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    text = {"type": "string"}
    parameters = [{"name": n, "in": "path", "required": True, "schema": text} for n in names]
    good: dict[str, Any] = {"204": {"description": "Done"}}
    if answer is not None:
        content = {"application/json": {"schema": schema_of(answer)}}
        good = {"200": {"description": summary, "content": content}}
    return {
        "summary": summary,
        "tags": ["administration"],
        "parameters": [*parameters, *query],
        "responses": good | {"default": _PROBLEM},
    }


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description,
            "schema": {"type": "string"} | schema}  # fmt: skip


_SORTS: Final = [f"{hyphen}{name}" for name in SORTABLE for hyphen in ("", "-")]
_SEARCH: Final = (
    _query("q", "Words that are in name, ID, accession number or description"),
    *(_query(name, "Matches as a key of C-FIND does (PS3.4 C.2.2.2)") for name in FILTERS),
    _query("from", "First study date", format="date"),
    _query("to", "Last study date", format="date"),
    _query("sort", "With a hyphen before it: descending", enum=_SORTS),
    _query("offset", "Studies to skip", type="integer", minimum=0),
    _query("limit", "Studies at most", type="integer", minimum=0, maximum=1000),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    one, peer = "/studies/{study}", "/peers/{peer}/echo"
    instances = "/studies/{study}/series/{series}/instances"
    return {
        "paths": {
            "/node": {"get": _operation("The node", NodeSummary, "/node")},
            "/peers": {"get": _operation("Configured peers", tuple[PeerStatus, ...], "/peers")},
            peer: {"post": _operation("Ask a peer whether it is there", EchoAnswer, peer)},
            "/studies": {"get": _operation("Search studies", StudyPage, "/studies", _SEARCH)},
            one: {
                "get": _operation("A study", Study, one),
                "delete": _operation("Delete a study", None, one),
            },
            f"{one}/send": {
                "post": _operation("Send a study to a peer", SendReport, one,
                                   (_query("peer", "Name of its table"),)),
            },
            f"{one}/series": {"get": _operation("Series", tuple[Series, ...], one)},
            instances: {"get": _operation("Instances", tuple[Instance, ...], instances)},
        },
        "components": {"schemas": {each.__name__: _model(each) for each in _MODELS}},
        "tags": [{"name": "administration", "description": "Studies, peers, node"}],
    }  # fmt: skip
