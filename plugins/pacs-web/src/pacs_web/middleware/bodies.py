"""Limits of what clients send: how much, and how slowly.

The time is counted that a route waits for the body, not the time that it takes to do something
with it: when the archive is busy, nothing is read, and the client is not to blame.
"""

import asyncio
from time import monotonic
from typing import Final

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
        message = await _receive_within(patience, receive)
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


async def _receive_within(seconds: float, receive: Receive) -> Message | None:
    """Return the next message; None if it takes longer.

    A timer alone: a scope of anyio costs ten times as much, with each piece of a body. What is
    cancelled for another reason at the same time stays so.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    before, is_late = task.cancelling(), False

    def give_up() -> None:
        nonlocal is_late
        is_late = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, give_up)
    try:
        return await receive()
    except asyncio.CancelledError:
        if is_late and task.uncancel() <= before:
            return None
        raise
    finally:
        timer.cancel()
