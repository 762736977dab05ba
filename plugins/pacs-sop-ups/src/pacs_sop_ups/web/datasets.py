"""Workitems in bodies: DICOM JSON and Native DICOM Models, to attributes and back (PS3.18 §11)."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from anyio import to_thread
from pacs_web.api.datasets import JSON, PLAIN_JSON, XML
from pacs_web.api.http import HttpError, read_body
from pacs_web.api.media_types import media_type
from starlette.requests import Request

from pacs_core.api.attribute_lists import MOST_ITEMS, count_items, keep_known
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    ElementSet,
    MalformedDataset,
    MutableAttributes,
    encode_elements,
    parse_attributes,
)
from pacs_core.dataset.json_model import attributes_json, read_json
from pacs_core.dataset.xml_model import read_xml
from pacs_sop_ups.steps import CHARACTER_SET, SOP_INSTANCE

_MOST_NESTED: Final = 16
_AFFECTED: Final = 0x0000_1000
"""Affected SOP Instance UID."""


def _read_json(body: bytes) -> ElementSet:
    (elements,) = read_json(body, max_length=len(body))
    return elements


def _read_xml(body: bytes) -> ElementSet:
    return read_xml(body, max_length=len(body))


_READERS: Final[Mapping[str, Callable[[bytes], ElementSet]]] = {
    "": _read_json,
    JSON.name: _read_json,
    PLAIN_JSON.name: _read_json,
    XML.name: _read_xml,
}


async def read_dataset(request: Request, limit: int) -> MutableAttributes:
    """Return the attributes of the one dataset in a body; without a body there are none.

    Parameters
    ----------
    request : Request
    limit : int
        Bytes that the body may have.

    Raises
    ------
    HttpError
        400: it is no such dataset; 413: it is too long, or has too many items; 415: it is
        something else.
    """
    header = request.headers.get("content-type", "")
    given = media_type(header)
    kind = given.name if given else header.strip()
    if kind not in _READERS:
        raise HttpError(415, f"send the dataset as {JSON.name} or {XML.name}")
    body = await read_body(request, limit)
    if not body.strip():
        return {}
    return await to_thread.run_sync(_attributes, body, kind)


def _attributes(body: bytes, kind: str) -> MutableAttributes:
    try:
        encoded = b"".join(encode_elements(_READERS[kind](body), EXPLICIT_VR_LITTLE_ENDIAN))
        attributes = parse_attributes(
            encoded, EXPLICIT_VR_LITTLE_ENDIAN, max_depth=_MOST_NESTED, name_bulk=True
        )
    except (MalformedDataset, ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise HttpError(
            400, f"the body is not one dataset in {kind or JSON.name}: {reason}"
        ) from error
    if count_items(attributes) > MOST_ITEMS:
        raise HttpError(413, f"the dataset has more than {MOST_ITEMS} items")
    known = keep_known(attributes)
    # Some write the UID of a new workitem as the command element that N-CREATE has it in.
    if affected := attributes.get(_AFFECTED):
        known.setdefault(SOP_INSTANCE, affected)
    known.pop(CHARACTER_SET, None)  # Both are in UTF-8, whatever the dataset was in.
    return known


def event_json(information: Attributes, command: dict[str, object]) -> str:
    """Return an event as the channel of PS3.18 §11.13 has it: command elements, and information."""
    elements = json.loads(attributes_json(information))
    return json.dumps(command | elements, separators=(",", ":"))
