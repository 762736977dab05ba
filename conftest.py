"""Fixtures and settings of the whole workspace."""

import os

import pytest
from hypothesis import settings

# No deadlines: a busy machine is not a bug. On CI the same examples every time.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the node does."""
    return "asyncio"
