"""Fixtures of the whole workspace."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the node does."""
    return "asyncio"
