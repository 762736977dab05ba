"""A node with DICOMweb, and a client that asks it over the wire."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen
from importlib_metadata import EntryPoint
from pacs_dicomweb.multipart import PartBegin, PartData, Splitter

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import NodeThread, node_thread

PLUGINS = (
    "web",
    "dicomweb",
    "store-filesystem",
    "index-sqlite",
    "audit-json",
    "sop-storage",
    "codec-basic",
    "codec-imagecodecs",
    "image-export",
)


def part10(dataset: SampleDataset, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """Return a DICOM file."""
    meta = file_meta(dataset.sop_class_uid, dataset.sop_instance_uid, syntax)
    return meta + dataset.encode(syntax)


def multipart(*parts: tuple[str, bytes], boundary: str = "b") -> bytes:
    """Return a body of parts with their media types."""
    lines = [
        f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + each for kind, each in parts
    ]
    return b"\r\n".join([*lines, f"--{boundary}--\r\n".encode()])


def read_parts(response: httpx.Response) -> list[tuple[dict[str, str], bytes]]:
    """Return headers and contents of the parts of an answer."""
    boundary = response.headers["content-type"].split("boundary=")[1].split(";")[0]
    splitter, found = Splitter(boundary), []
    for event in splitter.feed(response.content):
        if isinstance(event, PartBegin):
            found.append((dict(event.headers), b""))
        elif isinstance(event, PartData):
            found[-1] = (found[-1][0], found[-1][1] + event.data)
    splitter.finish()
    return found


@frozen
class Door:
    """The service of a node, as a client sees it."""

    node: NodeThread
    client: httpx.Client

    @property
    def url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def get(self, path: str, accept: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Accept": accept} if accept else {}
        return self.client.get(path, headers={**headers, **more.pop("headers", {})}, **more)

    def store(self, *files: bytes | SampleDataset, study: str = "", **more: Any) -> httpx.Response:
        contents = [each if isinstance(each, bytes) else part10(each) for each in files]
        return self.client.post(
            f"/studies{f'/{study}' if study else ''}",
            content=multipart(*(("application/dicom", each) for each in contents)),
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'},
            **more,
        )

    def found(self, path: str, **more: Any) -> list[dict[str, Any]]:
        response = self.get(path, **more)
        assert response.status_code == 200, response.text
        return response.json()

    def is_well(self) -> bool:
        """Whether the next request is answered, as after each attack."""
        return self.get("/studies?limit=1").status_code == 200

    def stored(self) -> int:
        return int(self.get("/instances?limit=0").headers["x-total-count"])


@contextmanager
def opened(
    data_directory: Path, config: dict[str, Any], *more: EntryPoint, **web: Any
) -> Iterator[Door]:
    """Run a node, perhaps with more plugins, and connect a client to its service."""
    tables = {"plugin": {"web": {"port": 0, **web}, "dicomweb": config}}
    with node_thread(data_directory, tables, plugins=(*PLUGINS, *more)) as node:
        port = node.node.service_sockets["web"][0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/dicom-web"
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            yield Door(node, client)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    """Start a node with a configuration, and return its service."""
    with ExitStack() as stack:
        yield lambda **config: stack.enter_context(opened(tmp_path / "data", config))


@pytest.fixture
def door_with(tmp_path: Path) -> Iterator[Callable[..., Door]]:
    """Start a node with more plugins, and return its service."""
    with ExitStack() as stack:
        yield lambda *more: stack.enter_context(opened(tmp_path / "data", {}, *more))


@pytest.fixture
def proxied_door(tmp_path: Path) -> Iterator[Door]:
    """Return the service of a node that believes what proxies on this machine say."""
    believed = {"trusted_proxies": ["127.0.0.1"], "allowed_hosts": ["pacs.example"]}
    with opened(tmp_path / "data", {}, **believed) as service:
        yield service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Return the service of a node that the tests of a module share."""
    with opened(tmp_path_factory.mktemp("shared"), {"max_pixels": 1 << 22}) as service:
        yield service


@pytest.fixture
def wire() -> Any:
    """Return what tests build bodies with, and read answers with."""

    class Wire:
        part10 = staticmethod(part10)
        multipart = staticmethod(multipart)
        read_parts = staticmethod(read_parts)
        dumps = staticmethod(json.dumps)

    return Wire
