"""Correlation: what follows from one association or one request has the same ID everywhere.

The kernel begins a correlation with each association, and the web server with each request. Tasks
and threads that are begun within it belong to it, as context variables have it. Its ID is in each
entry of the log and in each audit event; jobs keep it for when they are done.

Whatever acts of its own accord begins one for each thing that it does::

    with correlated(new_correlation()):
        await self._take(message)
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Final

from attrs import frozen


@frozen
class Correlation:
    """What entries of the log, audit events and jobs have in common.

    Attributes
    ----------
    id : str
        Of at most 128 visible characters of ASCII; empty outside of any correlation.
    trace_parent : str
        Where in which trace it is: a ``traceparent`` of W3C Trace Context, well-formed; empty
        where there is no trace.
    """

    id: str
    trace_parent: str = ""

    @property
    def trace_id(self) -> str:
        """ID of the trace, 32 hexadecimal digits; empty where there is none."""
        return self.trace_parent[3:35]

    @property
    def headers(self) -> dict[str, str]:
        """Headers by which a server that is asked on its behalf knows of it."""
        found = {"x-request-id": self.id, "traceparent": self.trace_parent}
        return {name: value for name, value in found.items() if value}


NO_CORRELATION: Final = Correlation("")

_current: ContextVar[Correlation] = ContextVar("pacs_correlation", default=NO_CORRELATION)


def new_correlation(trace_parent: str = "") -> Correlation:
    """Return one with an ID that no other has, on this node or another.

    Parameters
    ----------
    trace_parent : str
        As of :class:`Correlation`.
    """
    return Correlation(os.urandom(8).hex(), trace_parent)


def current_correlation() -> Correlation:
    """Return that of the running task or thread; that with an empty ID if there is none."""
    return _current.get()


@contextmanager
def correlated(correlation: Correlation) -> Iterator[None]:
    """Let all that is done in the block, and whatever is begun in it, belong to a correlation."""
    token = _current.set(correlation)
    try:
        yield
    finally:
        # An async generator may be closed by another task, which has a context of its own.
        with suppress(ValueError):
            _current.reset(token)


def current_correlation_id() -> str:
    """Return the ID of :func:`current_correlation`."""
    return _current.get().id
