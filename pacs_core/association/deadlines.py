"""Timeouts of one association, cheap to move: what they cost is paid when nothing happens."""

import math
from collections.abc import Awaitable, Callable
from time import monotonic

import anyio

# Theory of operation
#
# An association has three timeouts that move with every PDU. Timers of the event loop would be made
# and cancelled each time; here moving one is a dictionary entry, and a single task wakes now and
# then to look at the earliest. Deadlines only ever matter when nothing happens, so what they cost
# is paid then.
#
# The task cannot know that a deadline was moved nearer while it sleeps. It therefore never sleeps
# longer than the resolution, and a deadline may be noticed so much too late.


class Deadlines:
    """Up to one deadline per name; the first that passes is reported, once.

    Moving a deadline is an assignment, so it can be done for every PDU. A single task sleeps
    until the earliest deadline that it knows, and looks again.

    Parameters
    ----------
    resolution : float
        Seconds; a deadline that is moved nearer is noticed at most this late.
    """

    def __init__(self, resolution: float) -> None:
        self._resolution = resolution
        self._at: dict[str, float] = {}

    def set(self, name: str, seconds: float) -> None:
        """Let the deadline `name` pass `seconds` from now."""
        self._at[name] = monotonic() + seconds

    def clear(self, name: str) -> None:
        """Let the deadline `name` not pass any more."""
        self._at.pop(name, None)

    async def watch(self, expired: Callable[[str], Awaitable[None]]) -> None:
        """Sleep until a deadline passes, then call `expired` with its name."""
        while True:
            name, at = min(self._at.items(), key=lambda item: item[1], default=("", math.inf))
            remaining = at - monotonic()
            if remaining <= 0:
                self.clear(name)
                await expired(name)
            else:
                await anyio.sleep(min(remaining, self._resolution))
