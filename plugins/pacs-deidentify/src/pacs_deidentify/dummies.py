"""Values that stand where a value must be (PS3.15 Table E.1-1a, D)."""

from typing import Any, Final

from pydicom.dataset import Dataset

TEXT: Final = "ANONYMIZED"
DATE: Final = "19000101"

DUMMIES: Final[dict[str, Any]] = {
    "AE": TEXT, "AS": "000D", "AT": 0, "CS": TEXT, "DA": DATE, "DS": "0", "DT": DATE + "000000",
    "FD": 0.0, "FL": 0.0, "IS": "0", "LO": TEXT, "LT": TEXT, "OB": b"\0\0", "OD": bytes(8),
    "OF": bytes(4), "OL": bytes(4), "OV": bytes(8), "OW": b"\0\0", "PN": TEXT, "SH": TEXT, "SL": 0,
    "SS": 0, "ST": TEXT, "SV": 0, "TM": "000000", "UC": TEXT, "UL": 0, "UN": b"\0\0",
    "UR": "about:", "US": 0, "UT": TEXT, "UV": 0,
}  # fmt: skip
"""By VR; of all that is not here there is none: UI and SQ."""

EMPTY_PDF: Final = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\n"
    b"xref\n0 4\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \n"
    b"0000000101 00000 n \ntrailer<</Size 4/Root 1 0 R>>\nstartxref\n164\n%%EOF\n"
)
"""A page with nothing on it."""

EMPTY_DOCUMENTS: Final = {
    "application/pdf": EMPTY_PDF,
    "text/xml": b"<?xml version='1.0'?><ClinicalDocument xmlns='urn:hl7-org:v3'/>",
}
"""By MIME Type of Encapsulated Document (0042,0012)."""


def no_content() -> Dataset:
    """Return an item for a report without content (PS3.3 C.17.3)."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "121106", "DCM", "Comment"
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [code]
    item.TextValue = TEXT
    return item
