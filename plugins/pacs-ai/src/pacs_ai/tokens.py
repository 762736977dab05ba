"""Tokens of requests: with one a service reads what it was asked about, and stores results.

A token is good for one request, for as long as the service may answer it, and for nothing but the
series of that request and results: whoever shows it is a principal of its own, with the actions
``query``, ``retrieve`` and ``store``. Only its digest is kept.
"""

import secrets
import time
from typing import Final

from pacs_ai.config import AiConfig
from pacs_ai.desk import AiDesk
from pacs_ai.models import InferenceRequest
from pacs_core.contracts import Node, Principal

REQUEST_CLAIM: Final = "ai-request"
"""Claim of a principal: the number of the request whose token it has shown."""
METHOD: Final = "ai-token"
_BEGINNING: Final = "pacs-ai-"
_ACTIONS: Final = frozenset({"query", "retrieve", "store"})


async def make_token(desk: AiDesk, request: InferenceRequest) -> str:
    """Return a token for a request; those before are void."""
    token = _BEGINNING + secrets.token_urlsafe(32)
    await desk.records.change(request.number, token=token)
    return token


def is_token(text: str) -> bool:
    """Tell whether something looks like a token of this plugin."""
    return text.startswith(_BEGINNING)


async def check_token(node: Node, config: AiConfig, token: str) -> Principal | None:
    """Return who shows a token; None if it is not good any more."""
    request = await node.find(AiDesk).records.find_by_token(token)
    if request is None or request.service not in config.services:
        return None
    if time.time() > request.asked + config.services[request.service].answer_within:
        return None
    name, claims = f"ai:{request.service}", {REQUEST_CLAIM: str(request.number)}
    return Principal(name, frozenset({"ai"}), METHOD, claims, _ACTIONS)
