"""Servers of tests: a real S3 server, a real Azure server, each with a bucket that is there."""

import base64
import hmac
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Final

import pytest

from pacs_core.testing.peer_programs import find_free_port

BUCKET: Final = "archive"
"""The bucket, or container, that is there."""
ACCOUNT: Final = "devstoreaccount1"
ACCOUNT_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""That of every Azurite."""

_AZURITE: Final = "node_modules/.bin/azurite-blob"
_FOLDER: Final = Path(".cache/azurite")
_OPTIONS: Final = "--inMemoryPersistence --disableTelemetry --skipApiVersionCheck --silent"


@contextmanager
def run_s3(port: int = 0) -> Iterator[str]:
    """Run an S3 server (moto) as a process, on a port if given; give its URL.

    It is empty but for the bucket: in this process, all servers would have the same objects.
    """
    port = port or find_free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _run_server("moto", command) as until_it_answers:
        url = f"http://127.0.0.1:{port}"
        until_it_answers(lambda: _request("PUT", f"{url}/{BUCKET}"))
        yield url


def s3_environment(url: str) -> dict[str, str]:
    """Return the variables by which programs know that server, and are let in."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def run_azure() -> Iterator[str]:
    """Run an Azure server (Azurite) as a process; give its URL, with the account.

    Azurite is that on the path, or in the folder ``PACS_AZURITE``, by default ``.cache/azurite``;
    the test is skipped where there is none.
    """
    folder = Path(os.environ.get("PACS_AZURITE", _FOLDER))
    program = shutil.which("azurite-blob") or shutil.which(folder.absolute() / _AZURITE)
    if program is None:
        pytest.skip(f"there is no Azurite: npm install --prefix {_FOLDER} azurite")
    port = find_free_port()
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with _run_server("Azurite", [program, *where, *_OPTIONS.split()]) as until_it_answers:
        url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        until_it_answers(lambda: _make_container(url))
        yield url


@contextmanager
def _run_server(name: str, command: list[str]) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run a server; give a function that asks it until it answers."""
    process = subprocess.Popen(  # noqa: S603 - words of this file
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def ask(request: Callable[[], None]) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                return request()
            except OSError:
                assert process.poll() is None, f"{name} has ended"
                assert time.monotonic() < until, f"{name} does not answer"
                time.sleep(0.1)

    try:
        yield ask
    finally:
        process.kill()
        process.wait()


def _make_container(url: str) -> None:
    date = formatdate(usegmt=True)
    resource = f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    text = f"PUT{12 * chr(10)}x-ms-date:{date}\nx-ms-version:2021-08-06\n{resource}"
    key = base64.b64decode(ACCOUNT_KEY)
    signature = base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2021-08-06",
        "Authorization": f"SharedKey {ACCOUNT}:{signature}",
    }
    _request("PUT", f"{url}/{BUCKET}?restype=container", headers)


def _request(method: str, url: str, headers: dict[str, str] | None = None) -> None:
    request = urllib.request.Request(url, method=method, headers=headers or {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        response.read()
