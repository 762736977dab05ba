"""What the tests of Storage share."""

import pytest

from pacs_core.dataset import Attributes, encode_attributes, tag_of

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def ct_attributes() -> Attributes:
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "Modality": "CT",
    }
    return {tag_of(keyword): (value,) for keyword, value in values.items()}


@pytest.fixture
def ct_dataset(ct_attributes: Attributes) -> bytes:
    return encode_attributes(ct_attributes, EXPLICIT)
