"""Servers, one of each for all tests of a process."""

from collections.abc import Iterator

import pytest

from pacs_core.testing.cloud_servers import run_azure, run_s3


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with run_s3() as url:
        yield url


@pytest.fixture(scope="session")
def azure_url() -> Iterator[str]:
    with run_azure() as url:
        yield url
