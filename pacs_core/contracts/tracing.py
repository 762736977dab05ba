"""The contract of tracers: who is told of work as it begins and ends, and of what it is a part.

The kernel and plugins say what they do by *spans*: associations, operations, requests, jobs. A
tracer keeps them in the form that its site reads. While there is none, a span is a look at an empty
place. What a span is a part of follows from the correlation (:class:`Correlation`): a tracer lets
:attr:`Correlation.trace_parent` lead to the running span, so that entries of the log, jobs and
requests to other servers refer to it, too.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Final

from attrs import define

SpanValue = str | int | float | bool


class SpanKind(Enum):
    """How a span stands to what it is a part of."""

    INTERNAL = "internal"
    SERVER = "server"
    """Somebody else asked for it, and awaits its end."""
    CLIENT = "client"
    """Somebody else is asked."""
    CONSUMER = "consumer"
    """What has asked for it does not wait: the span begins a trace, with a link to that."""


class Span:
    """Some work that is being done."""

    def set(self, name: str, value: SpanValue) -> None:
        """Say something of it.

        Parameters
        ----------
        name : str
            Such as ``"dicom.status"``; where there is one, as OpenTelemetry's semantic conventions.
        value : str, int, float or bool
        """

    def fail(self, reason: str) -> None:
        """Say that it failed, though nothing is raised."""


class Tracer(ABC):
    """Takes note of spans."""

    @abstractmethod
    def span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, SpanValue]
    ) -> AbstractContextManager[Span]:
        """Return a context manager for some work; what leaves it by an exception has failed.

        Entered and left in one task, between which tasks and threads may be begun that belong to
        it. Must be quick, wait for nothing, and raise nothing.
        """


_NO_SPAN: Final[AbstractContextManager[Span]] = nullcontext(Span())


@define(eq=False)
class Tracing:
    """The tracer of the node, if it has one: :attr:`Node.tracing`.

    ::

        with node.tracing.span("forward", SpanKind.INTERNAL, {"peer": name}) as span:
            span.set("instances", await self._forward(name))

    Attributes
    ----------
    tracer : Tracer or None
        Who is told.
    """

    tracer: Tracer | None = None

    def __bool__(self) -> bool:
        return self.tracer is not None

    def use(self, tracer: Tracer) -> None:
        """Tell a tracer of spans that begin from now on. The last that asks for it is told."""
        self.tracer = tracer

    def leave(self, tracer: Tracer) -> None:
        """Tell it no more; nothing happens if it was not told."""
        if self.tracer is tracer:
            self.tracer = None

    def span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, SpanValue] | None = None,
    ) -> AbstractContextManager[Span]:
        """Return a context manager for some work, see :meth:`Tracer.span`.

        Parameters
        ----------
        name : str
            Of few: what tells one from another of a name is in `attributes`.
        kind : SpanKind
        attributes : mapping, optional
        """
        if self.tracer is None:
            return _NO_SPAN
        return self.tracer.span(name, kind, attributes or {})
