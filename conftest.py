"""Fixtures and settings of the whole workspace."""

import logging
import os
import shutil
import ssl
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import httpx._transports.default as httpx_transports
import pytest
from hypothesis import HealthCheck, settings

from pacs_core.logs.formats import TextFormatter
from pacs_core.testing.peer_programs import do_without

# No deadlines: a busy machine is not a bug. On CI the same examples every time.
settings.register_profile("default", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    # A machine with other work is slow, which says nothing of the examples.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "default")


# httpx reads the certificates of authorities for each client: 40 ms of processor time, for what is
# most often one request to a node of the test.


@cache
def _usual_ssl_context(*_: object) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _share_ssl_context(
    verify: ssl.SSLContext | str | bool = True, cert: Any = None, trust_env: bool = True
) -> ssl.SSLContext:
    files = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
    if verify is not True or cert is not None or (not trust_env and any(files)):
        return httpx.create_ssl_context(verify, cert, trust_env)
    return _usual_ssl_context(*files)


httpx_transports.create_ssl_context = _share_ssl_context  # type: ignore[attr-defined]


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the node does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Take back what a command that is run in the process of the tests says of the log."""
    root = logging.getLogger()
    level, raises = root.level, logging.raiseExceptions
    yield
    for handler in [each for each in root.handlers if isinstance(each.formatter, TextFormatter)]:
        root.removeHandler(handler)
    root.setLevel(level)
    logging.raiseExceptions = raises


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Return the URL of the S3 server of all tests of a process; keep to a prefix of your own."""
    from pacs_core.testing.cloud_servers import run_s3

    with run_s3() as url:
        yield url


@pytest.fixture(scope="session")
def azure_url() -> Iterator[str]:
    """Return the URL of the Azure server of all tests of a process; see :func:`s3_url`."""
    from pacs_core.testing.cloud_servers import run_azure

    with run_azure() as url:
        yield url


# Not $PATH: in the environment's bin, pynetdicom has programs of the same names.
PEER_PATH = "/usr/local/bin:/usr/bin:/opt/homebrew/bin:/usr/sbin"
PEER_PROGRAMS = {
    "dcmtk": ("echoscu", "storescu", "findscu", "movescu", "getscu", "storescp", "dcmqrscp"),
    "libgdcm-tools": ("gdcmconv",),
    "chromium": ("chromium",),
    "postgresql": ("pg_createcluster",),
    "haproxy": ("haproxy",),
    "prometheus": ("prometheus", "promtool"),
    "orthanc": ("Orthanc",),
}
"""By the package that has them, which is what the marker names; DCMTK if it names none."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests whose peer programs are not there, or fail them where they have to be."""
    if item.get_closest_marker("long") and os.environ.get("PACS_LONG") != "1":
        pytest.skip("a long test: PACS_LONG=1 runs it")
    marker = item.get_closest_marker("peer")
    for package in (marker.args or ("dcmtk",)) if marker else ():
        missing = [p for p in PEER_PROGRAMS[package] if shutil.which(p, path=PEER_PATH) is None]
        if missing:
            do_without(f"{', '.join(missing)} not found; apt-get install {package}")
