"""Public API for plugins that are clients of DICOMweb servers."""

from pacs_dicomweb.client import (
    Content,
    DicomWebClient,
    DicomWebError,
    StoreAnswer,
    Upload,
    open_client,
)

__all__ = [
    "Content",
    "DicomWebClient",
    "DicomWebError",
    "StoreAnswer",
    "Upload",
    "open_client",
]
