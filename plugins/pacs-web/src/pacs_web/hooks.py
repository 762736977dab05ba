"""The hooks that this plugin publishes."""

from collections.abc import Sequence

from pacs_core.contracts import Setup
from pacs_core.plugins import hookspec
from pacs_web.api import WebAuthenticatorDescriptor, WebRoutesDescriptor


@hookspec
def pacs_web_routes(setup: Setup) -> Sequence[WebRoutesDescriptor]:
    """Return routes, with their pages and their section of the API.

    They are called for when the server starts, in each worker. A descriptor whose name or prefix
    another plugin has already, or whose routes cannot be created, quarantines its plugin.

    Example
    -------
    ::

        @hookimpl(optionalhook=True)
        def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
            return [WebRoutesDescriptor("greeter", create, prefix="/greeter", title="Greeter")]


        def create(context: WebContext) -> list[BaseRoute]:
            from starlette.responses import JSONResponse
            from starlette.routing import Route

            async def greet(request: Request) -> Response:
                archive = context.node.archive.on_behalf_of(context.origin_of(request))
                return JSONResponse({"studies": await archive.count(Query(Level.STUDY))})

            return [Route("/", greet)]
    """
    raise NotImplementedError


@hookspec
def pacs_web_authenticators(setup: Setup) -> Sequence[WebAuthenticatorDescriptor]:
    """Return who tells who a request comes from.

    They are asked in plugin order, of each request whose routes are not `public`: the first that
    refuses ends it, the first principal given counts. Where there is none, they are asked whether
    that will do: without any authenticators, everybody is nobody, and the principal is None. One
    that does not start keeps the server from answering.

    Example
    -------
    ::

        @hookimpl(optionalhook=True)
        def pacs_web_authenticators(setup: Setup) -> list[WebAuthenticatorDescriptor]:
            return [WebAuthenticatorDescriptor("tokens", lambda node: Tokens(node))]
    """
    raise NotImplementedError
