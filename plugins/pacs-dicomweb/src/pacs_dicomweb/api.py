"""Public API for plugins that are clients of DICOMweb servers, or do over HTTP what these do."""

from pacs_dicomweb.client import (
    Content,
    DicomWebClient,
    DicomWebError,
    StoreAnswer,
    Upload,
    UploadBody,
    open_client,
)
from pacs_dicomweb.delivery import Deliveries, PlannedInstance
from pacs_dicomweb.incoming import IncomingFile, read_file
from pacs_dicomweb.multipart import MalformedMultipart, Part, Splitter, SplitterLimits, split

__all__ = [
    "Content",
    "Deliveries",
    "DicomWebClient",
    "DicomWebError",
    "IncomingFile",
    "MalformedMultipart",
    "Part",
    "PlannedInstance",
    "Splitter",
    "SplitterLimits",
    "StoreAnswer",
    "Upload",
    "UploadBody",
    "open_client",
    "read_file",
    "split",
]
