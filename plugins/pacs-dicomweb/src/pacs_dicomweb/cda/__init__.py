"""HL7 CDA documents that are encapsulated (PS3.3 A.45.2), as pages and as text."""

from pacs_dicomweb.cda.document import ClinicalDocument, DocumentError, read_document
from pacs_dicomweb.cda.page import POLICY, write_page
from pacs_dicomweb.cda.plain import write_text

__all__ = [
    "POLICY",
    "ClinicalDocument",
    "DocumentError",
    "read_document",
    "write_page",
    "write_text",
]
