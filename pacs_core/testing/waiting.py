"""Waiting for what happens in another thread or process."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return once a condition holds; fail the test if it does not in time.

    Parameters
    ----------
    condition : callable
        Looked at again and again.
    seconds : float
        Far more than it should take.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"what was waited for did not happen in {seconds:g} s")
        time.sleep(0.02)
