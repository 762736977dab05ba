"""The contract of web routes, for all that DICOMweb has."""

import pytest
from pacs_dicomweb import DicomWebConfig, pacs_web_routes
from pacs_web.api import WebRoutesDescriptor
from pacs_web.testing import WebRoutesContract

from pacs_core.contracts import NodeSettings, Setup

[DICOMWEB] = pacs_web_routes(Setup(NodeSettings(), {DicomWebConfig: DicomWebConfig(delete=True)}))


class TestDicomWeb(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return DICOMWEB
