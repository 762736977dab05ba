"""The contract of web routes."""

import pytest
from pacs_core.contracts import NodeSettings, Setup
from pacs_web.api import WebRoutesDescriptor
from pacs_web.testing import WebRoutesContract

from {{ cookiecutter.__package }} import Config, pacs_web_routes


class TestModalityRoutes(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return pacs_web_routes(Setup(NodeSettings(), {Config: Config()}))[0]
