"""Datasets in responses of DICOM web services: negotiated, as JSON or XML, with warnings.

One dataset or many are the DICOM JSON Model in an array (PS3.18 F.2.1), or Native DICOM Models
(PS3.19 A.1): one as it is, many as the parts of a multipart body (PS3.18 §8.7.3).
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pacs_core.dataset import Attributes
from pacs_core.dataset.json_model import attributes_json
from pacs_core.dataset.xml_model import attributes_xml
from pacs_web.api.http import HttpError, StreamResponse
from pacs_web.api.media_types import Choice, Representation, accepted_types, choose
from pacs_web.api.multipart_writing import OutgoingPart, new_boundary, write_multipart
from pacs_web.remembered import remembered

__all__ = [
    "JSON",
    "PLAIN_JSON",
    "XML",
    "XML_PARTS",
    "accept",
    "datasets_response",
    "not_acceptable",
    "warning_header",
]

JSON: Final = Representation("application/dicom+json")
PLAIN_JSON: Final = Representation("application/json")
"""What programs ask for that know no other; it is the same."""

XML: Final = Representation("application/dicom+xml")
"""Of one dataset."""

XML_PARTS: Final = Representation("application/dicom+xml", is_multipart=True)
"""Of many."""


def accept(
    request: Request, offered: Sequence[Representation], named: Sequence[str] = ()
) -> list[Choice]:
    """Return the representations that a request accepts, the best first.

    Parameters
    ----------
    request : Request
    offered : sequence of Representation
        The most preferred first.
    named : sequence of str
        Values of the query parameter `accept`, which counts instead of the header.

    Raises
    ------
    HttpError
        406: none.
    """
    header = ", ".join(request.headers.getlist("accept"))
    choices = _accepted(header, tuple(named), tuple(offered))
    if not choices:
        raise not_acceptable(offered)
    return list(choices)


@remembered
def _accepted(
    header: str, named: tuple[str, ...], offered: tuple[Representation, ...]
) -> tuple[Choice, ...]:
    return tuple(choose(accepted_types(header, named), offered))


def not_acceptable(offered: Sequence[Representation], reason: str = "") -> HttpError:
    """Return 406, with what there is."""
    shown = ", ".join(dict.fromkeys(each.content_type("...") for each in offered))
    return HttpError(406, f"{reason or 'nothing of this is accepted'}; there is {shown}")


def datasets_response(
    datasets: Iterable[Attributes],
    representation: Representation,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response with datasets.

    Parameters
    ----------
    datasets : iterable of Attributes
        One, if the representation is :data:`XML`.
    representation : Representation
        One of this module.
    status : int
    headers : mapping of str to str, optional
    """
    if representation == XML:
        (dataset,) = datasets
        return Response(_xml(dataset), status, dict(headers or {}), XML.name)
    if representation != XML_PARTS:
        content = f"[{','.join(map(attributes_json, datasets))}]".encode("utf-8", "replace")
        return Response(content, status, dict(headers or {}), representation.name)
    boundary = new_boundary()

    async def parts() -> AsyncIterator[OutgoingPart]:
        for dataset in datasets:
            yield OutgoingPart(XML.name, _xml(dataset))

    return StreamResponse(
        write_multipart(parts(), boundary),
        status,
        {**(headers or {}), "Content-Type": XML_PARTS.content_type(boundary)},
    )


def _xml(dataset: Attributes) -> bytes:
    return attributes_xml(dataset).encode("utf-8", "replace")


def warning_header(service: str, texts: Sequence[str]) -> dict[str, str]:
    """Return the Warning header (PS3.18 §8.3.4, RFC 7234 §5.5); none without texts.

    Parameters
    ----------
    service : str
        URL of the service.
    texts : sequence of str
    """
    if not texts:
        return {}
    shown = (text.encode("ascii", "replace").decode().replace('"', "'") for text in texts)
    return {"Warning": ", ".join(f'299 {service} "{_visible(text)}"' for text in shown)}


def _visible(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
