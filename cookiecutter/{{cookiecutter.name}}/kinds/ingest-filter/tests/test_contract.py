"""The contract of ingest filters."""

import pytest
from pacs_core.contracts import IngestFilterDescriptor, NodeSettings, Setup
from pacs_core.testing.event_handler_contract import ORIGIN
from pacs_core.testing.ingest_filter_contract import IngestFilterContract

from {{ cookiecutter.__package }} import Config, pacs_ingest_filters

CONFIG = Config(issuers={ORIGIN.calling_ae_title or "": "HOSPITAL"})


class TestIssuer(IngestFilterContract):
    @pytest.fixture
    def descriptor(self) -> IngestFilterDescriptor:
        return pacs_ingest_filters(Setup(NodeSettings(), {Config: CONFIG}))[0]
