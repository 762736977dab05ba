"""The contracts: of services, and that of web routes, on the server's own routes."""

import pytest
from pacs_web import WebConfig, pacs_services
from pacs_web.api import WebRoutesDescriptor
from pacs_web.doors import own_routes
from pacs_web.testing import WebRoutesContract

from pacs_core.contracts import NodeSettings, ServiceDescriptor, Setup
from pacs_core.testing.service_contract import ServiceContract

HEALTH, DETAILS, SITE = own_routes(lambda: False)


class TestServer(ServiceContract):
    @pytest.fixture
    def descriptor(self) -> ServiceDescriptor:
        return pacs_services(Setup(NodeSettings(), {WebConfig: WebConfig()}))[0]


class TestHealth(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return HEALTH


class TestHealthDetails(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return DETAILS


class TestSite(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return SITE
