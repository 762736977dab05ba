"""Client of DICOMweb: what a node, or a person, asks of another server (PS3.18).

``web_client.py`` speaks HTTP, ``uploads.py`` makes the bodies of Store requests, ``downloads.py``
writes what comes, and ``commands.py`` is ``pacs web``.
"""

from pacs_dicomweb.client.uploads import Content, Upload, UploadBody
from pacs_dicomweb.client.web_client import (
    DicomWebClient,
    DicomWebError,
    StoreAnswer,
    open_client,
)

__all__ = [
    "Content",
    "DicomWebClient",
    "DicomWebError",
    "StoreAnswer",
    "Upload",
    "UploadBody",
    "open_client",
]
