"""The section of the OpenAPI 3.1 document, generated from the models."""

from enum import Enum
from typing import Any, Final, get_args, get_origin

from attrs import fields, has
from pacs_web.api.openapi import Operation, describe_section, query

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


_SORTS: Final = [f"{hyphen}{name}" for name in SORTABLE for hyphen in ("", "-")]
_SEARCH: Final = (
    query("q", "Words that are in name, ID, accession number or description"),
    *(query(name, "Matches as a key of C-FIND does (PS3.4 C.2.2.2)") for name in FILTERS),
    query("from", "First study date", format="date"),
    query("to", "Last study date", format="date"),
    query("sort", "With a hyphen before it: descending", enum=_SORTS),
    query("offset", "Studies to skip", type="integer", minimum=0),
    query("limit", "Studies at most", type="integer", minimum=0, maximum=1000),
)  # fmt: skip


_REMOTE: Final = [each for each in _SEARCH if each["name"] in {*FILTERS, "from", "to"}]
_RETRIEVED: Final = (query("study", "UID"), query("series", "UID; all series without it"))
_SENT_TO: Final = (query("peer", "Name of its table"),)

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
    return describe_section(
        "administration",
        "Studies, peers, node",
        [_operation(*each) for each in _OPERATIONS],
        {each.__name__: _model(each) for each in _MODELS},
    )


def describe_upload() -> dict[str, Any]:
    """Return the section of the upload; its tag is that of the other section."""
    body = {"application/zip": {"type": "string", "format": "binary"}}
    store = ("post", "/zip", "Store the DICOM files in a zip file", UploadReport)
    schemas = {UploadReport.__name__: _model(UploadReport)}
    section = describe_section("administration", "", [_operation(*store, body=body)], schemas)
    return {key: section[key] for key in ("paths", "components")}


def _operation(
    method: str, path: str, summary: str, answer: Any, parameters: Any = (), **more: Any
) -> Operation:
    schema = None if answer is None else schema_of(answer)
    reported = answer in (TransferReport, UploadReport)
    media_types = ("application/json", JSON_LINES) if reported else ("application/json",)
    return Operation(method, path, summary, schema, parameters, media_types=media_types, **more)
