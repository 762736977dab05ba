"""The section of the OpenAPI 3.1 document, generated from the models."""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, get_args, get_origin

from attrs import fields, has

from pacs_core.contracts import ConfigValue, PluginStatus, QueueStatus
from pacs_web_ui.changes import EchoAnswer
from pacs_web_ui.models import NodeSummary, PeerSummary, SectionSummary, UploadReport
from pacs_web_ui.node_status import DiskStatus, DurationStatus, NodeStatus
from pacs_web_ui.remote import RemoteStudies
from pacs_web_ui.studies import FILTERS, SORTABLE, Instance, Series, Study, StudyPage
from pacs_web_ui.transfers import JSON_LINES, TransferReport

_SCALARS: Final = {str: "string", int: "integer", bool: "boolean", float: "number"}
_MODELS: Final = (
    Study, StudyPage, Series, Instance, NodeSummary, SectionSummary, PeerSummary, EchoAnswer,
    TransferReport, RemoteStudies, NodeStatus, DiskStatus, DurationStatus, QueueStatus,
    PluginStatus, ConfigValue,
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
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": "string", "enum": [each.value for each in kind]}
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
        if answer in (TransferReport, UploadReport):
            content[JSON_LINES] = content["application/json"]
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


_REMOTE: Final = [each for each in _SEARCH if each["name"] in {*FILTERS, "from", "to"}]
_RETRIEVED: Final = (_query("study", "UID"), _query("series", "UID; all series without it"))
_SENT_TO: Final = (_query("peer", "Name of its table"),)

_OPERATIONS: Final = (
    ("get", "/node", "The node", NodeSummary, ()),
    ("get", "/node/status", "How the node is doing", NodeStatus, ()),
    ("get", "/node/configuration", "Keys, values, origins", tuple[ConfigValue, ...], ()),
    ("get", "/peers", "Configured peers", tuple[PeerSummary, ...], ()),
    ("post", "/peers/{peer}/echo", "Ask a peer whether it is there", EchoAnswer, ()),
    ("get", "/peers/{peer}/studies", "Search studies at a peer", RemoteStudies, _REMOTE),
    ("post", "/peers/{peer}/retrieve", "Retrieve a study", TransferReport, _RETRIEVED),
    ("get", "/studies", "Search studies", StudyPage, _SEARCH),
    ("get", "/studies/{study}", "A study", Study, ()),
    ("delete", "/studies/{study}", "Delete a study", None, ()),
    ("post", "/studies/{study}/send", "Send a study to a peer", TransferReport, _SENT_TO),
    ("get", "/studies/{study}/series", "Series", tuple[Series, ...], ()),
    ("get", "/studies/{study}/series/{series}/instances", "Instances",
     tuple[Instance, ...], ()),
)  # fmt: skip


def describe_api() -> dict[str, Any]:
    """Return the section."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary, answer, query in _OPERATIONS:
        paths.setdefault(path, {})[method] = _operation(summary, answer, path, query)
    return {
        "paths": paths,
        "components": {"schemas": {each.__name__: _model(each) for each in _MODELS}},
        "tags": [{"name": "administration", "description": "Studies, peers, node"}],
    }


def describe_upload() -> dict[str, Any]:
    """Return the section of the upload."""
    operation = _operation("Store the DICOM files in a zip file", UploadReport, "/zip")
    body = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
    operation["requestBody"] = {"required": True, "content": body}
    schemas = {UploadReport.__name__: _model(UploadReport)}
    return {"paths": {"/zip": {"post": operation}}, "components": {"schemas": schemas}}
