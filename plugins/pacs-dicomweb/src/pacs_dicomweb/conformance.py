"""The service in the conformance statement: from its routes and tables, as far as these tell."""

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from pacs_core.contracts import WebServicesStatement, WebTransaction
from pacs_core.dataset import keyword_of
from pacs_dicomweb.capabilities import PARAMETERS
from pacs_dicomweb.config import DicomWebConfig
from pacs_dicomweb.pixel_media_types import OCTETS, SYNTAXES, VIDEOS
from pacs_dicomweb.routes import methods_by_path
from pacs_dicomweb.search import REQUIRED

_PARTS: Final = 'multipart/related; type="{}"'
_DICOM: Final = _PARTS.format("application/dicom")
_JSON: Final = "application/dicom+json"
_XML: Final = _PARTS.format("application/dicom+xml")
_PICTURES: Final = ("image/jpeg", "image/png", "image/gif")


@frozen
class _Kind:
    """What is said of all resources of a kind."""

    name: str
    section: str
    media_types: tuple[str, ...]
    remarks: str = ""


_KINDS: Final[Mapping[str, _Kind]] = {
    "search": _Kind("Search (QIDO-RS)", "PS3.18 §10.6", (_JSON, _XML)),
    "": _Kind(
        "Retrieve instances (WADO-RS)",
        "PS3.18 §10.4",
        (_DICOM, "application/dicom", "application/zip", _PARTS.format(OCTETS)),
        "In any transfer syntax that can be converted to, but Implicit VR Little Endian and "
        "Explicit VR Big Endian; the zip archive is an extension.",
    ),
    "metadata": _Kind("Retrieve metadata", "PS3.18 §10.4", (_JSON, _XML)),
    "bulkdata": _Kind("Retrieve bulk data", "PS3.18 §10.4", (_PARTS.format(OCTETS), OCTETS)),
    "pixeldata": _Kind("Retrieve Pixel Data", "PS3.18 §10.4", (_PARTS.format(OCTETS),)),
    "frames": _Kind(
        "Retrieve frames",
        "PS3.18 §10.4",
        (OCTETS, *SYNTAXES),
        "In parts, and a single frame also without.",
    ),
    "rendered": _Kind(
        "Retrieve rendered",
        "PS3.18 §10.4",
        (*_PICTURES, "application/pdf", *VIDEOS, "text/html", "text/plain", "text/xml"),
        "SR documents as text/html or text/plain, HL7 CDA as these or text/xml.",
    ),
    "thumbnail": _Kind("Retrieve thumbnail", "PS3.18 §10.4", _PICTURES),
    "wado": _Kind(
        "Retrieve by URI (WADO-URI)",
        "PS3.18 §9",
        ("application/dicom", *_PICTURES, "text/html", "text/plain"),
        "SR documents are text/html by default; documents and videos also come as they are.",
    ),
}

_STORE: Final = _Kind(
    "Store (STOW-RS)",
    "PS3.18 §10.5",
    (_DICOM, "application/dicom", _PARTS.format(_JSON), _XML),
    "Failure and warning reasons are the statuses of C-STORE.",
)
_DELETE: Final = _Kind("Delete", "", ())

STATUSES: Final[Mapping[int, str]] = {
    200: "done; of Store: all instances are stored",
    202: "Store: some instances are not stored, or with a warning",
    204: "nothing is found, if so configured; deleted",
    206: "a range; or some instances cannot be had in the accepted form",
    304: "unchanged",
    400: "a parameter, a UID or a body makes no sense; the text says which",
    403: "an authorizer refused it",
    404: "there is no such resource, or not for who asks",
    405: "the method is not for this resource",
    406: "nothing is accepted that can be had",
    409: "Store: no instance is stored",
    413: "the body has more than is taken",
    415: "Store: the media type is not taken",
    416: "the range is behind the end",
    501: "what would be needed is not installed",
    503: "the archive is busy, or an audit record cannot be written",
    507: "the store has no room",
}


def web_services(config: DicomWebConfig) -> WebServicesStatement:
    """Return what the service offers with a configuration."""
    methods, kinds = methods_by_path(config)
    transactions = [
        _transaction(kind, tuple(f"GET {path}" for path, own in kinds.items() if own == name), name)
        for name, kind in _KINDS.items()
    ]
    for method, kind in (("POST", _STORE), ("DELETE", _DELETE)):
        paths = tuple(f"{method} {path}" for path, own in methods.items() if method in own)
        if paths:
            transactions.append(_transaction(kind, paths, method))
    return WebServicesStatement(
        "DICOMweb",
        config.root,
        (*transactions, WebTransaction("Capabilities", "PS3.18 §8.9", ("OPTIONS /",), ("WADL",))),
        STATUSES,
        {
            level.value: (*sorted(map(keyword_of, tags)), "RetrieveURL")
            for level, tags in REQUIRED.items()
        },
        (
            "Searches answer with the attributes below, those that were asked for as far as the "
            "index keeps them, and the unique keys of the levels above.",
        ),
    )


def _transaction(kind: _Kind, resources: tuple[str, ...], name: str) -> WebTransaction:
    parameters = PARAMETERS.get(name, ())
    return WebTransaction(
        kind.name, kind.section, resources, kind.media_types, parameters, kind.remarks
    )
