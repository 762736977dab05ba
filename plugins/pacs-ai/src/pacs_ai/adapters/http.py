"""HTTP as the adapters use it: a client for a service, and what its answers mean."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from pacs_ai.config import ServiceConfig
from pacs_ai.interface import ServiceAwayError, ServiceError, ServiceRefusedError
from pacs_core.contracts import Node, current_correlation

_AWAY: Final = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses that say nothing of the request: it may be taken later."""
_OURS: Final = frozenset({401, 403, 404, 405, 407})
"""Statuses that somebody here has to do something about: a token, an address."""
_MAX_PROBLEM: Final = 2000


@asynccontextmanager
async def open_service(node: Node, service: ServiceConfig) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of a service, for an ``async with`` block."""
    headers = {}
    if service.token is not None:
        headers["Authorization"] = f"Bearer {service.token.reveal()}"
    verify = True if service.tls is None else node.tls.client_context(service.tls)
    # What takes long is the work between the last byte of the request and the first of the answer.
    timeout = httpx.Timeout(60.0, read=service.timeout)
    async with httpx.AsyncClient(
        headers=headers,
        verify=verify,
        timeout=timeout,
        trust_env=False,
        event_hooks={"request": [_say_on_behalf_of_what]},
    ) as client:
        yield client


async def _say_on_behalf_of_what(request: httpx.Request) -> None:
    request.headers.update(current_correlation().headers)


@asynccontextmanager
async def send(client: httpx.AsyncClient, request: httpx.Request) -> AsyncIterator[httpx.Response]:
    """Send a request, and give the answer if it is a good one.

    Raises
    ------
    ServiceAwayError, ServiceRefusedError, ServiceError
    """
    url = request.url
    try:
        response = await client.send(request, stream=True)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise ServiceAwayError(f"{url} cannot be reached: {error}") from error
    except httpx.HTTPError as error:
        raise ServiceError(f"{url}: {error or type(error).__name__}") from error
    try:
        if not response.is_success:
            await _refuse(response)
        yield response
    except httpx.HTTPError as error:
        raise ServiceError(f"the answer of {url} is not whole: {error}") from error
    finally:
        await response.aclose()


async def _refuse(response: httpx.Response) -> None:
    status, text = response.status_code, b""
    async for piece in response.aiter_bytes():
        text += piece
        if len(text) > _MAX_PROBLEM:
            break
    shown = " ".join(text.decode("utf-8", "replace").split())[:200]
    reason = f"{response.url} answered {status} {response.reason_phrase} {shown}".strip()
    if status in _AWAY:
        raise ServiceAwayError(reason)
    if 400 <= status < 500 and status not in _OURS:
        raise ServiceRefusedError(reason)
    raise ServiceError(reason)
