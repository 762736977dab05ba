"""Fixtures of all tests; `pacs_node` and others come with pacs-core."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as a node does."""
    return "asyncio"
