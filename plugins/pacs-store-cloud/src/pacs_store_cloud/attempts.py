"""Repetition of what may yet succeed: with back-off, until a deadline."""

import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio

from pacs_store_cloud.errors import BucketError, MisconfiguredError, advise, describe

_log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_ANSWERS: Final = (
    "NotFoundError",
    "AlreadyExistsError",
    "PreconditionError",
    "NotModifiedError",
    "NotSupportedError",
    "InvalidPathError",
)


class MangledError(Exception):
    """What came, or what arrived there, is not what was sent: worth another attempt."""


def is_answer(error: Exception) -> bool:
    """Tell whether an error is what the service has to say of an object, and no failure."""
    if isinstance(error, FileNotFoundError):
        return not advise(error)  # a bucket that is not there is said so, too
    return type(error).__name__ in _ANSWERS or "416 Range" in str(error)


async def attempt(what: str, action: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Do something until it succeeds, or the service answers, or the time is over.

    Parameters
    ----------
    what : str
        For messages: what is done, to which object.
    action : callable
        One attempt; it must have a timeout of its own.
    deadline : float
        Seconds.

    Raises
    ------
    MisconfiguredError
        It will not succeed before somebody has changed something.
    BucketError
        It did not succeed in time.
    """
    pause = _FIRST_PAUSE
    last: Exception | None = None
    with anyio.move_on_after(deadline):
        while True:
            try:
                return await action()
            except BucketError:
                raise
            except Exception as error:
                if is_answer(error):
                    raise
                if advice := advise(error):
                    raise MisconfiguredError(f"{what}: {advice} ({describe(error)})") from None
                last = error
            _log.debug("%s: %s; again in up to %.1f s", what, describe(last), pause)
            await anyio.sleep(random.uniform(pause / 2, pause))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE)
    reason = describe(last) if last else "no answer"
    raise BucketError(f"{what}: given up after {deadline:g} s: {reason}") from None
