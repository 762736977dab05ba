"""Limits of what clients send: how much, and how slowly.

The time is counted that a route waits for the body, not the time that it takes to do something
with it: when the archive is busy, nothing is read, and the client is not to blame.
"""

from time import monotonic
from typing import Final

import anyio
from starlette.types import Message, Receive, Scope

from pacs_web.api.http import HttpError
from pacs_web.config import WebConfig

_CLOSE: Final = {"connection": "close"}
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


def limit_body(scope: Scope, receive: Receive, config: WebConfig, max_body: int | None) -> Receive:
    """Return a `receive` that raises when a body is too large or too slow.

    Parameters
    ----------
    scope, receive
        Of the request.
    config : WebConfig
    max_body : int or None
        What the routes allow.

    Raises
    ------
    HttpError
        413: it says itself that it is too large.
    """
    framing = {name: value for name, value in scope["headers"] if name in _FRAMING}
    if not framing:
        return receive  # no body is to come (RFC 9112 §6.3)
    limit = min(max_body or 1 << 62, config.max_body or 1 << 62)
    too_large = HttpError(413, f"the body of the request has more than {limit} bytes", _CLOSE)
    if int(framing.get(b"content-length", b"0")) > limit:
        raise too_large
    received = 0
    waited = 0.0
    is_whole = False

    async def receive_in_time() -> Message:
        nonlocal received, waited, is_whole
        if is_whole:
            return await receive()
        patience = config.timeouts.body
        if config.minimum_rate:
            patience = min(patience, patience + received / config.minimum_rate - waited)
        began = monotonic()
        message: Message | None = None
        with anyio.move_on_after(patience):
            message = await receive()
        if message is None:
            raise HttpError(
                408, f"the body comes too slowly: {received} bytes in {waited:.0f} s", _CLOSE
            )
        waited += monotonic() - began
        received += len(message.get("body", b""))
        is_whole = message["type"] != "http.request" or not message.get("more_body", False)
        if received > limit:
            raise too_large
        return message

    return receive_in_time
