"""Moments at which all wake who look for something again and again."""

import anyio

# Theory of operation
#
# A process that has nothing to do still looks for work, each part of it for its own: a few times a
# second, or every few seconds. What that costs is being woken, much more than the look. So whoever
# looks again does so at a multiple of its interval on the clock of the event loop, and those whose
# intervals are multiples of each other are woken once for all.

_EARLY = 0.1
"""Part of an interval by which a moment that is that near is left out."""


def common_moment(seconds: float) -> float:
    """Return the moment to look again after about so long, at which others look as well.

    For a service that looks again and again, while nothing happens: whoever does so at such moments
    wakes with all others, once for all.

    Parameters
    ----------
    seconds : float
        The interval, best a multiple or a part of 0.5. What comes is a tenth of it away at least,
        and a tenth more than it at most, and on the average as long as it.

    Returns
    -------
    float
        On the clock of :func:`anyio.current_time`, as :func:`anyio.sleep_until` takes it.
    """
    now = anyio.current_time()
    if seconds <= 0:
        return now
    return ((now + _EARLY * seconds) // seconds + 1) * seconds
