"""Acts on deliveries that API and pages share: who may, and what is recorded."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from attrs import field, frozen
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_core.api.streams import closing
from pacs_core.contracts import AuditValue, EventAction
from pacs_routing.auditing import STEERED, VIEWED
from pacs_routing.interface import Deliveries, Delivery, DeliveryFilter, DeliveryState, RouteTotal
from pacs_routing.routes import Routes

INSPECT: Final = "routing.inspect"
STEER: Final = "routing.steer"
"""Actions that authorizers are asked for."""

MOST: Final = 1000
"""Deliveries on a page."""
MEANT: Final = ("peer", "rule", "study", "instance")
"""Parameters by which is said which deliveries are meant."""


@frozen
class DeliveryPage:
    """Deliveries, latest first, and whether there are more."""

    deliveries: tuple[Delivery, ...] = ()
    has_more: bool = False


@frozen
class RouteDesk:
    """Deliveries for whoever asks.

    Attributes
    ----------
    context : WebContext
    """

    context: WebContext
    routes: Routes = field(init=False)
    _deliveries: Deliveries = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "routes", self.context.node.find(Routes))
        object.__setattr__(self, "_deliveries", self.context.node.find(Deliveries))

    async def totals(self, request: Request) -> list[RouteTotal]:
        """Return how many deliveries there are, by route and state."""
        await self.context.require(request, INSPECT)
        return await self._deliveries.totals()

    async def list(self, request: Request, wanted: DeliveryFilter, limit: int) -> DeliveryPage:
        """Return the deliveries that are wanted."""
        await self.context.require(request, INSPECT)
        async with closing(self._deliveries.search(wanted, limit + 1)) as found:
            deliveries = [each async for each in found]
        return DeliveryPage(tuple(deliveries[:limit]), len(deliveries) > limit)

    async def retry(self, request: Request, wanted: DeliveryFilter) -> int:
        """Let what failed or was cancelled wait again, and what waits be due; return how many."""
        return await self._steer(request, "retry", wanted, self._deliveries.retry)

    async def cancel(self, request: Request, wanted: DeliveryFilter) -> int:
        """Let what waits not be sent any more, and return how many."""
        return await self._steer(request, "cancel", wanted, self._deliveries.cancel)

    async def _steer(
        self,
        request: Request,
        act: str,
        wanted: DeliveryFilter,
        change: Callable[[DeliveryFilter], Awaitable[int]],
    ) -> int:
        await self.context.require(request, STEER)
        given = {
            "to": wanted.peer,
            "rule": wanted.rule,
            "study": wanted.study_uid,
            "instance": wanted.instance_uid,
        }
        if not any(given.values()):
            raise HttpError(400, f"say which deliveries: {', '.join(MEANT)}")
        details: dict[str, AuditValue] = {name: value for name, value in given.items() if value}
        await self.context.record(request, STEERED, EventAction.EXECUTE, do=act, **details)
        return await change(wanted)

    async def record_view(self, request: Request) -> None:
        """Record that whoever asks sees deliveries."""
        await self.context.record(request, VIEWED)


def read_filter(given: Mapping[str, str]) -> DeliveryFilter:
    """Return which deliveries parameters mean.

    Raises
    ------
    HttpError
        400
    """
    peer, rule, study, instance = (given.get(name, "").strip() for name in MEANT)
    try:
        states = tuple(DeliveryState(name) for name in given.get("state", "").split(",") if name)
    except ValueError:
        raise HttpError(400, f"state: one of {', '.join(DeliveryState)}") from None
    below = read_integer(given, "before", 0, 1, 1 << 62) or None
    return DeliveryFilter(peer, rule, study, instance, states, below)


def read_integer(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of a query string. HttpError 400 if it is none, or out of bounds."""
    text = given.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise HttpError(400, f"{name}: a number from {least} to {most}")
    return int(text)
