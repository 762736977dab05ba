"""Workitems in bodies: the DICOM JSON Model, to attributes and back (PS3.18 §11, F)."""

import json
from collections.abc import Iterable

from pacs_web.api.http import HttpError
from starlette.responses import Response

from pacs_core.api.attribute_lists import MOST_ITEMS, count_items, keep_known
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    MalformedDataset,
    MutableAttributes,
    encode_elements,
    parse_attributes,
)
from pacs_core.dataset.json_model import attributes_json, read_json
from pacs_sop_ups.steps import CHARACTER_SET

JSON = "application/dicom+json"
_MOST_NESTED = 16


def read_dataset(body: bytes) -> MutableAttributes:
    """Return the attributes of the one dataset in a body; without a body there are none.

    Raises
    ------
    HttpError
        400: it is no such dataset; 413: it has too many items.
    """
    if not body.strip():
        return {}
    try:
        (elements,) = read_json(body, max_length=len(body))
        encoded = b"".join(encode_elements(elements, EXPLICIT_VR_LITTLE_ENDIAN))
        attributes = parse_attributes(
            encoded, EXPLICIT_VR_LITTLE_ENDIAN, max_depth=_MOST_NESTED, name_bulk=True
        )
    except (MalformedDataset, ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise HttpError(400, f"the body is not one dataset in DICOM JSON: {reason}") from error
    if count_items(attributes) > MOST_ITEMS:
        raise HttpError(413, f"the dataset has more than {MOST_ITEMS} items")
    known = keep_known(attributes)
    known.pop(CHARACTER_SET, None)  # JSON is in UTF-8, whatever the dataset was in.
    return known


def datasets_response(
    datasets: Iterable[Attributes], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return a response with datasets, in an array."""
    texts = [attributes_json(dataset) for dataset in datasets]
    content = ("[" + ",".join(texts) + "]").encode("utf-8", "replace")
    own = {"cache-control": "no-store", **(headers or {})}
    return Response(content, status, own, JSON)


def event_json(information: Attributes, command: dict[str, object]) -> str:
    """Return an event as the channel of PS3.18 §11.13 has it: command elements, and information."""
    elements = json.loads(attributes_json(information))
    return json.dumps(command | elements, separators=(",", ":"))
