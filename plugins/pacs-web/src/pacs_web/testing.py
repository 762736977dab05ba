# ruff: noqa: D102, S101 - the names of the tests are their documentation
"""The contract of web routes as tests: inherit, and say how the routes are described.

Needs httpx: ``pip install 'pacs-web[testing]'``.

Example
-------
::

    class TestGreeter(WebRoutesContract):
        @pytest.fixture
        def descriptor(self) -> WebRoutesDescriptor:
            return pacs_web_routes(Setup(NodeSettings()))[0]
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import product
from typing import Any, Final

import anyio
import httpx
import pytest
from attrs import evolve, frozen
from starlette.routing import BaseRoute, Mount, Route

from pacs_core.association import bind_sockets
from pacs_core.contracts import AccessDeniedError, Archive, Node, NodeSettings
from pacs_core.testing.memory_archive import MemoryArchive
from pacs_core.testing.operations import MemoryAccessGuard, memory_node
from pacs_web.api import WebAuthenticator, WebContext, WebRoutesDescriptor, WebSite
from pacs_web.application import build_application
from pacs_web.config import CurrentConfig, WebConfig
from pacs_web.contributions import Section
from pacs_web.refusals import Refusals
from pacs_web.server import HttpServer

PATIENCE: Final = 20.0
"""Seconds that a client waits for an answer."""

BASE_PATH: Final = "/archive"
"""Under which the contract's server is shown, so that a link that forgets it is noticed."""

GARBAGE: Final = ("", "%", "..%2f..%2fetc", "%00", "%0d%0aX:1", "9" * 65, "<script>", "é")
"""Values of path and query parameters that mean nothing."""

ACCEPT: Final = ("*/*", "garbage", "text/html;q=x", ",;=", "image/gif")


class _NothingPermitted(MemoryArchive):
    """An archive of whose instances nobody may know."""

    def on_behalf_of(self, *_: object, **__: object) -> Archive:
        return self

    def __getattribute__(self, name: str) -> Any:
        if name in ("search", "count", "instances", "locate", "open", "ingest", "delete"):
            raise AccessDeniedError("nothing is permitted here")
        return super().__getattribute__(name)


@frozen
class RunningServer:
    """A server for tests.

    Attributes
    ----------
    client : httpx.AsyncClient
        Its base URL is that of the site.
    routes : sequence of BaseRoute
        What the descriptor has created.
    port : int
    """

    client: httpx.AsyncClient
    routes: Sequence[BaseRoute]
    port: int


@asynccontextmanager
async def serve_routes(
    descriptor: WebRoutesDescriptor,
    node: Node | None = None,
    config: WebConfig | None = None,
    authenticators: Sequence[tuple[str, WebAuthenticator]] = (),
) -> AsyncIterator[RunningServer]:
    """Serve the routes of a descriptor on a free port, for an ``async with`` block.

    Parameters
    ----------
    descriptor : WebRoutesDescriptor
    node : Node, optional
        One in memory by default.
    config : WebConfig, optional
    authenticators : sequence of (str, WebAuthenticator)
        These are not started.
    """
    node, config = node or memory_node(NodeSettings()), config or WebConfig()
    context = WebContext(node, WebSite([descriptor]))
    section = Section(descriptor, tuple(descriptor.create(context)))
    refusals = Refusals(node.audit)
    current = CurrentConfig(config)
    application = build_application(node, current, [section], authenticators, refusals)
    server = HttpServer(application, current, refusals.report)
    sockets = bind_sockets("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}{config.base_path}"
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refusals.record)
            tasks.start_soon(server.serve, sockets, 1.0)
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
                yield RunningServer(client, section.routes, port)
            tasks.cancel_scope.cancel()
    finally:
        for each in sockets:
            each.close()


@frozen
class _Resource:
    """A path with its methods; parameters are in braces."""

    path: str
    methods: frozenset[str]

    def with_values(self, value: str) -> str:
        return re.sub(r"\{\w+(:\w+)?\}", lambda _: value, self.path)


def _resources(routes: Sequence[BaseRoute], prefix: str) -> Iterator[_Resource]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _resources(route.routes, prefix + route.path)
        elif isinstance(route, Route):
            yield _Resource(prefix + route.path, frozenset(route.methods or ()))


class WebRoutesContract:
    """What all web routes must do: know their methods, keep to HTTP, and stand nonsense.

    Subclass it in a test module, and define the fixture ``descriptor``.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        """Return the descriptor of the routes."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def node(self) -> Node:
        """Return the node that the routes are created for."""
        return memory_node(NodeSettings())

    @pytest.fixture
    async def server(
        self, descriptor: WebRoutesDescriptor, node: Node, anyio_backend: Any
    ) -> AsyncIterator[RunningServer]:
        """Serve the routes below a base path; after each test, they are there as before."""
        async with serve_routes(descriptor, node, WebConfig(base_path=BASE_PATH)) as server:
            yield server
            for each in _resources(server.routes, descriptor.prefix):
                response = await server.client.options(each.with_values("1"))
                assert response.is_success, f"{each} is not well after the test"

    @pytest.fixture
    def resources(
        self, descriptor: WebRoutesDescriptor, server: RunningServer
    ) -> Sequence[_Resource]:
        """Return every path that there is."""
        return list(_resources(server.routes, descriptor.prefix))

    async def test_a_descriptor_can_be_used(
        self, descriptor: WebRoutesDescriptor, node: Node
    ) -> None:
        assert descriptor.name
        assert re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", descriptor.prefix)
        context = WebContext(node, WebSite([descriptor]))
        first, second = descriptor.create(context), descriptor.create(context)
        assert len(first) == len(second) > 0
        assert all(isinstance(route, BaseRoute) for route in first)

    async def test_options_name_the_methods(
        self, server: RunningServer, resources: Sequence[_Resource]
    ) -> None:
        for each in resources:
            response = await server.client.options(each.with_values("1"))
            allow = {name.strip() for name in response.headers.get("allow", "").split(",")}
            assert response.is_success, each
            assert allow >= each.methods, each

    async def test_a_method_that_there_is_not_is_405_with_allow(
        self, server: RunningServer, resources: Sequence[_Resource]
    ) -> None:
        for each in resources:
            response = await server.client.request("BREW", each.with_values("1"))
            assert response.status_code == 405, each
            assert response.headers["allow"]
            assert response.headers["content-type"] == "application/problem+json"

    async def test_head_is_get_without_a_body(
        self, server: RunningServer, resources: Sequence[_Resource]
    ) -> None:
        for each in resources:
            if "GET" not in each.methods:
                continue
            assert "HEAD" in each.methods, each
            path = each.with_values("1")
            async with server.client.stream("GET", path) as response:
                status = response.status_code
            head = await server.client.head(path)
            assert (head.status_code, head.content) == (status, b""), each

    async def test_what_is_not_there_is_404(
        self, server: RunningServer, descriptor: WebRoutesDescriptor
    ) -> None:
        response = await server.client.get(f"{descriptor.prefix}/no/such/path/{'x' * 40}")
        assert response.status_code == 404

    async def test_nonsense_is_no_fault_of_ours(
        self, server: RunningServer, resources: Sequence[_Resource]
    ) -> None:
        for each, value in product(resources, GARBAGE):
            for method in sorted(each.methods & {"GET", "POST", "PUT", "DELETE"}):
                path = each.with_values(value) + f"?limit=-1&offset=x&{value}={value}&a&=b"
                async with server.client.stream(method, path) as response:
                    assert response.status_code not in (500, 502), (method, path)

    @pytest.mark.parametrize("accept", ACCEPT)
    async def test_nothing_that_is_accepted_is_a_fault_of_ours(
        self, server: RunningServer, resources: Sequence[_Resource], accept: str
    ) -> None:
        for each in resources:
            if "GET" in each.methods:
                path, headers = each.with_values("1"), {"accept": accept}
                async with server.client.stream("GET", path, headers=headers) as response:
                    assert response.status_code < 500, each

    @pytest.mark.parametrize("body", [b"", b"{", b"[" * 10_000, b"\0" * 5000])
    async def test_bodies_that_mean_nothing(
        self, server: RunningServer, resources: Sequence[_Resource], body: bytes
    ) -> None:
        for each in resources:
            for method in sorted(each.methods & {"POST", "PUT", "PATCH"}):
                headers = {"content-type": "application/json"}
                response = await server.client.request(
                    method, each.with_values("1"), content=body, headers=headers
                )
                assert response.status_code < 500, (method, each)

    async def test_a_body_that_is_too_large_is_413(
        self, server: RunningServer, descriptor: WebRoutesDescriptor, resources: Sequence[_Resource]
    ) -> None:
        if descriptor.max_body is None:
            pytest.skip("any size is taken")

        async def too_much() -> AsyncIterator[bytes]:
            for _ in range((descriptor.max_body or 0) // 65536 + 2):
                yield bytes(65536)

        for each in resources:
            for method in sorted(each.methods & {"POST", "PUT", "PATCH"}):
                response = await server.client.request(
                    method, each.with_values("1"), content=too_much()
                )
                assert 400 <= response.status_code < 500, (method, each)

    async def test_what_is_not_permitted_is_not_told(
        self, descriptor: WebRoutesDescriptor, node: Node
    ) -> None:
        closed = evolve(node, archive=_NothingPermitted())
        async with serve_routes(descriptor, closed) as server:
            for each in _resources(server.routes, descriptor.prefix):
                if "GET" in each.methods:
                    async with server.client.stream("GET", each.with_values("1")) as response:
                        assert response.status_code not in (500, 502), each

    async def test_who_leaves_early_leaves_nothing_behind(
        self, server: RunningServer, resources: Sequence[_Resource]
    ) -> None:
        for each in resources:
            if "GET" not in each.methods:
                continue
            stream = await anyio.connect_tcp("127.0.0.1", server.port)
            async with stream:
                path = BASE_PATH + each.with_values("1")
                await stream.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        response = await server.client.get("/no/such/path")
        assert response.status_code == 404

    async def test_pages_link_below_the_base_path(
        self, server: RunningServer, resources: Sequence[_Resource]
    ) -> None:
        for each in resources:
            if "GET" not in each.methods or "{" in each.path:
                continue
            async with server.client.stream("GET", each.path) as response:
                if not response.headers.get("content-type", "").startswith("text/html"):
                    continue
                page = (await response.aread()).decode()
            links = re.findall(r"(?:href|src|action)=[\"'](/[^\"']*)", page)
            assert [link for link in links if not link.startswith(f"{BASE_PATH}/")] == [], each

    async def test_navigation_leads_somewhere(
        self, server: RunningServer, descriptor: WebRoutesDescriptor
    ) -> None:
        for entry in descriptor.navigation:
            assert entry.title
            if not entry.path:
                assert "{study}" in entry.study_path, f"{entry} leads nowhere"
                continue
            response = await server.client.get(entry.path, follow_redirects=True)
            assert response.status_code == 200, entry

    async def test_the_api_document_names_what_there_is(
        self, server: RunningServer, descriptor: WebRoutesDescriptor, node: Node
    ) -> None:
        if descriptor.openapi is None:
            pytest.skip("it has no section")
        section = descriptor.openapi(WebContext(node, WebSite([descriptor])))
        there: dict[str, frozenset[str]] = {}
        for each in _resources(server.routes, descriptor.prefix):
            path = re.sub(r":\w+\}", "}", each.path)
            there[path] = there.get(path, frozenset()) | each.methods
        for path, operations in section["paths"].items():
            methods = there.get(descriptor.prefix + path)
            assert methods is not None, path
            assert {name.upper() for name in operations} - {"PARAMETERS"} <= methods, path


class GuardedRoutesContract(WebRoutesContract):
    """What routes must do besides if each asks first whether an action is permitted.

    Attributes
    ----------
    actions : mapping of str to str
        The action that each route asks for: ``{"GET /api/greetings/{number}": "greetings.read"}``.
    known : str
        Value of path parameters with which there is something.
    untold : str
        Text of it that nobody may read who may not see it.
    """

    actions: Mapping[str, str]
    known = "1"
    untold: str

    def guards(self, action: str) -> Sequence[MemoryAccessGuard]:
        """Return guards each of which refuses an action."""
        return [MemoryAccessGuard(action)]

    def request(self, path: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body such that the route of a path would do something."""
        return {}, b""

    async def state(self, node: Node) -> object:
        """Return what nobody may have changed who may not."""
        raise NotImplementedError("define the method `state`")

    async def test_whoever_may_not_is_told_so_by_every_route(
        self, descriptor: WebRoutesDescriptor, node: Node
    ) -> None:
        before = await self.state(node)
        routes = descriptor.create(WebContext(node, WebSite([descriptor])))
        for each in _resources(routes, descriptor.prefix):
            for method in sorted(each.methods - {"HEAD", "OPTIONS"}):
                action = self.actions[f"{method} {each.path}".rstrip("/")]
                for guard in self.guards(action):
                    headers, body = self.request(each.path)
                    async with serve_routes(descriptor, evolve(node, access=guard)) as server:
                        response = await server.client.request(
                            method, each.with_values(self.known), headers=headers, content=body
                        )
                    assert response.status_code == 403, each
                    assert [asked.action for asked in guard.asked] == [action], each
                    assert self.untold not in response.text
        assert await self.state(node) == before
