"""Service of the web server: one in each worker, on the sockets that the kernel has bound.

The kernel binds the port before the node is ready, so that clients may connect from then on; what
they ask is answered a moment later. Starlette, uvicorn and the routes of plugins are imported in
that moment, which keeps them out of the way of DICOM peers: the node is as soon ready as without.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from ssl import SSLContext

import anyio

from pacs_core.contracts import Node, Service, Setup, Started, TlsConfigError
from pacs_web.api import WebAuthenticator
from pacs_web.config import CurrentConfig, WebConfig
from pacs_web.contributions import collect_sections, create_authenticators
from pacs_web.refusals import Refusals


class WebService(Service):
    """Answers HTTP for as long as the node serves.

    Parameters
    ----------
    node : Node
    config : WebConfig
    """

    def __init__(self, node: Node, config: WebConfig) -> None:
        self._node, self._current = node, CurrentConfig(config)

    async def start(self) -> None:
        """Refuse to start without the certificate that is configured."""
        self._check_tls(self._current.config)

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other limits, waits and settings of TLS from the next request or connection on."""
        config = setup.config(WebConfig)
        self._check_tls(config)
        self._current.config = config

    def _check_tls(self, config: WebConfig) -> None:
        if config.tls is not None:
            try:
                self._node.tls.server_context(config.tls)
            except TlsConfigError as error:
                raise ValueError(f"tls: {error}") from error

    def _tls_context(self) -> SSLContext:
        if (tls := self._current.config.tls) is None:
            raise TlsConfigError("there is no table [plugin.web.tls]")
        return self._node.tls.server_context(tls)

    async def run(self, started: Started) -> None:
        """Serve until cancelled; then let what is being answered finish."""
        started()
        async with AsyncExitStack() as stack:
            authenticators = create_authenticators(self._node)
            for _, each in authenticators:
                stack.push_async_callback(each.stop)
                await each.start()
            await self._serve(authenticators)

    async def _serve(self, authenticators: Sequence[tuple[str, WebAuthenticator]]) -> None:
        # Importing takes a quarter of a second, and more on a cold disk.
        await anyio.to_thread.run_sync(_import)
        from pacs_web.application import build_application
        from pacs_web.doors import own_routes
        from pacs_web.server import HttpServer

        refusals = Refusals(self._node.audit)
        server: HttpServer | None = None
        own = own_routes(
            lambda: self._node.is_ending or (server is not None and server.is_draining)
        )
        _, sections = collect_sections(self._node, own)
        application = build_application(
            self._node, self._current, sections, authenticators, refusals
        )
        context = self._tls_context if self._current.config.tls is not None else None
        server = HttpServer(application, self._current, refusals.report, context)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refusals.record)
            await server.serve(self.sockets, self._node.settings.timeouts.shutdown)


def _import() -> None:
    for module in ("pacs_web.application", "pacs_web.server"):
        import_module(module)
