"""Public API for plugins that are clients of DICOMweb servers, or speak multipart as these do."""

from pacs_dicomweb.client import (
    Content,
    DicomWebClient,
    DicomWebError,
    StoreAnswer,
    Upload,
    UploadBody,
    open_client,
)
from pacs_dicomweb.multipart import MalformedMultipart, Part, Splitter, SplitterLimits, split

__all__ = [
    "Content",
    "DicomWebClient",
    "DicomWebError",
    "MalformedMultipart",
    "Part",
    "Splitter",
    "SplitterLimits",
    "StoreAnswer",
    "Upload",
    "UploadBody",
    "open_client",
    "split",
]
