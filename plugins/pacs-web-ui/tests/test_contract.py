"""The contract of web routes, for pages, files and API."""

import pytest
from pacs_web.api import WebRoutesDescriptor
from pacs_web.testing import WebRoutesContract
from pacs_web_ui import WebUiConfig, pacs_web_routes

from pacs_core.contracts import NodeSettings, Setup

HOME, PAGES, STATIC, API, VIEWER, VIEWER_FILES, _ = pacs_web_routes(
    Setup(NodeSettings(), {WebUiConfig: WebUiConfig(deletion=True)})
)


class TestHome(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return HOME


class TestPages(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return PAGES


class TestViewer(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return VIEWER


class TestViewerFiles(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return VIEWER_FILES


class TestFiles(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return STATIC


class TestApi(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return API
