"""Limits that change while the node runs."""

import pytest
from pacs_sop_query_retrieve import QueryRetrieveConfig

from pacs_core.contracts import NodeSettings, Setup
from pacs_core.testing.operations import answer
from pacs_core.testing.reconfigure_contract import ReconfigureContract


class TestReconfigure(ReconfigureContract):
    """C-FIND, by its most matches (PS3.4 Table C.4-1, A700)."""

    @pytest.fixture
    def setup(self):
        return Setup(NodeSettings(), {QueryRetrieveConfig: QueryRetrieveConfig(max_results=1)})

    @pytest.fixture
    def other(self):
        return Setup(NodeSettings(), {QueryRetrieveConfig: QueryRetrieveConfig(max_results=2)})

    @pytest.fixture
    def component(self, provider):
        return provider("FIND", max_results=1)

    @pytest.fixture(autouse=True)
    def _requests(self, request_of):
        self.request_of = request_of

    async def check(self, component, setup):
        operation = self.request_of("FIND", QueryRetrieveLevel="STUDY")
        response = await answer(component, operation)
        enough = setup.config(QueryRetrieveConfig).max_results == 2
        assert response.status == (0x0000 if enough else 0xA700)
