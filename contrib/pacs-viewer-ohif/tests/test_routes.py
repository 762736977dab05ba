"""Routes of the viewer, with an app of three files in the place of OHIF."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pacs_core.testing.operations import memory_node
from pacs_web.api import WebContext, WebRoutesDescriptor, WebSite
from pacs_web.api.http import HttpError
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from pacs_viewer_ohif import OhifConfig, routes

pytestmark = pytest.mark.anyio

DICOMWEB = WebRoutesDescriptor("dicomweb", lambda _: [], "/dicom-web")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(routes, "APP", tmp_path)
    (tmp_path / "app.bundle.12ab.js").write_text("ohif")
    (tmp_path / "decoder.bundle.34cd.js").write_text("worker")
    (tmp_path / "WORKERS").write_text("decoder.bundle.34cd.js")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "favicon.ico").write_bytes(b"icon")
    return tmp_path


@pytest.fixture
def config() -> OhifConfig:
    return OhifConfig()


@pytest.fixture
async def client(app: Path, config: OhifConfig) -> AsyncIterator[httpx.AsyncClient]:
    context = WebContext(memory_node(), WebSite([DICOMWEB]))
    made = routes.create_routes(context, config)
    outer = Starlette(routes=[Mount("/viewer", routes=made)])

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await outer(dict(scope) | {"pacs_web.base_path": ""}, receive, send)

    transport = httpx.ASGITransport(serve)
    async with httpx.AsyncClient(transport=transport, base_url="http://pacs") as client:
        yield client


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_every_path_that_is_no_file_is_the_page(client: httpx.AsyncClient) -> None:
    for path in ("/viewer/", "/viewer/viewer?StudyInstanceUIDs=1.2.3"):
        page = await client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert '<script defer src="/viewer/app.bundle.12ab.js">' in page.text
        assert "'unsafe-inline'" not in page.headers["content-security-policy"].split("; ")[1]


@pytest.mark.parametrize("config", [OhifConfig(), OhifConfig(segmentations=False)])
async def test_the_page_may_evaluate_where_segmentations_are_wanted(
    client: httpx.AsyncClient, config: OhifConfig
) -> None:
    policy = (await client.get("/viewer/")).headers["content-security-policy"]
    assert ("'unsafe-eval'" in policy) is config.segmentations


async def test_only_scripts_of_workers_may_evaluate(client: httpx.AsyncClient) -> None:
    worker = await client.get("/viewer/decoder.bundle.34cd.js")
    script = await client.get("/viewer/app.bundle.12ab.js")
    assert "'unsafe-eval'" in worker.headers["content-security-policy"]
    assert "'unsafe-eval'" not in script.headers["content-security-policy"]


async def test_files_are_kept_by_browsers_as_long_as_their_names_allow(
    client: httpx.AsyncClient,
) -> None:
    bundle = await client.get("/viewer/app.bundle.12ab.js")
    assert "immutable" in bundle.headers["cache-control"]
    icon = await client.get("/viewer/assets/favicon.ico")
    assert icon.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["nonesuch.js", "%2e%2e/config.py", "a/%2e%2e%2fconfig.py", "x%00.js"]
)
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, name: str) -> None:
    with pytest.raises(HttpError) as raised:
        await client.get(f"/viewer/{name}")
    assert raised.value.status == 404


async def test_an_app_that_was_not_built_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "APP", tmp_path / "nowhere")
    with pytest.raises(LookupError, match=r"build\.py"):
        routes.create_routes(WebContext(memory_node(), WebSite([DICOMWEB])), OhifConfig())


async def test_without_dicomweb_it_says_so(app: Path) -> None:
    with pytest.raises(LookupError, match="install pacs-dicomweb"):
        routes.create_routes(WebContext(memory_node(), WebSite()), OhifConfig())
