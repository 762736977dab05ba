"""Operations on the running node: an operator breaks the glass for somebody, or mends it."""

from collections.abc import AsyncIterator
from typing import Final

from attrs import frozen

from pacs_access_rules.authorizer import Glass
from pacs_access_rules.reading import MAX_MINUTES
from pacs_core.contracts import ControlError, ControlHandler, ControlOperation, Origin


@frozen
class BreakGlass:
    """For whom, and why; for 0 minutes means as long as the policy says."""

    principal: str
    reason: str
    minutes: int = 0


@frozen
class Broken:
    """The override, and until when it holds, in seconds since the epoch."""

    number: int
    until: float


@frozen
class MendGlass:
    """Whose override shall end."""

    principal: str


@frozen
class Mended:
    """Whether there was one."""

    was_broken: bool


BREAK: Final = ControlOperation("access-rules.override", BreakGlass, Broken)
MEND: Final = ControlOperation("access-rules.mend", MendGlass, Mended)


class Breaker(ControlHandler[BreakGlass, Broken]):
    """Breaks the glass for somebody; what the policy does not let them do, they may not do then."""

    def __init__(self, glass: Glass) -> None:
        self._glass = glass

    async def handle(self, request: BreakGlass, origin: Origin) -> AsyncIterator[Broken]:
        """See base."""
        policy = self._glass.policy
        if not any(rule.emergency for rule in policy.rules):
            raise ControlError("no rule is for emergencies: an override would change nothing")
        minutes = request.minutes or policy.emergency_minutes
        if not request.principal.strip() or not 1 <= minutes <= MAX_MINUTES:
            raise ControlError(f"name somebody, and 1 to {MAX_MINUTES} minutes", 400)
        try:
            override = await self._glass.break_for(
                request.principal, request.reason, origin, minutes
            )
        except ValueError as error:
            raise ControlError(str(error), 400) from error
        yield Broken(override.number, override.until)


class Mender(ControlHandler[MendGlass, Mended]):
    """Ends an override."""

    def __init__(self, glass: Glass) -> None:
        self._glass = glass

    async def handle(self, request: MendGlass, origin: Origin) -> AsyncIterator[Mended]:
        """See base."""
        yield Mended(await self._glass.mend_for(request.principal, origin))
