"""Time that an inference takes more, so that others can be seen to wait for it."""

import threading
from collections.abc import Callable

_LOOK = 0.1


class Delay:
    """Seconds that each inference takes more, until somebody says that it is enough.

    Parameters
    ----------
    seconds : float
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._ended = threading.Event()

    def wait(self, is_unwanted: Callable[[], bool] = lambda: False) -> None:
        """Take the time; not all of it if what is inferred is not wanted any more."""
        for _ in range(round(self._seconds / _LOOK)):
            if is_unwanted() or self._ended.wait(_LOOK):
                return

    def end(self) -> None:
        """Take no more time, neither of what is under way nor of what comes."""
        self._ended.set()
