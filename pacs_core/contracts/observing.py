"""The contract of operation observers: who is told of every DIMSE operation, in both directions."""

import logging
from typing import Final

from attrs import define, frozen

from pacs_core.contracts.service_provider import AssociationInfo
from pacs_core.dimse import Command

logger = logging.getLogger(__name__)


@frozen
class ObservedOperation:
    """An operation that somebody asked for.

    Attributes
    ----------
    association : AssociationInfo
    command : Command
        The request; its `field` says which operation it is (PS3.7 E.1-1).
    is_invoked_here : bool
        Whether this node asked the peer, as for sub-operations of C-MOVE and C-GET; else the peer
        asked this node.
    """

    association: AssociationInfo
    command: Command
    is_invoked_here: bool


@frozen
class OperationEnd:
    """What became of an operation.

    Attributes
    ----------
    status : int or None
        Of the final response; None if there was none, because the association ended.
    bytes_received, bytes_sent : int
        Of datasets, in the request and in all responses.
    seconds : float
        Since the operation began.
    """

    status: int | None
    bytes_received: int
    bytes_sent: int
    seconds: float


class OperationObserver:
    """Is told of operations as they begin and end, for metrics and the like.

    Its methods are called in the event loop, between two messages: they must be quick, and cannot
    wait. What they raise is logged, and harms neither the operation nor other observers. An
    operation that was refused before a provider or a peer got it is not told of.
    """

    def began(self, operation: ObservedOperation) -> None:
        """A request has arrived and is about to be performed, or is about to be sent."""

    def ended(self, operation: ObservedOperation, end: OperationEnd) -> None:
        """The final response has been sent or has arrived, or never will."""


_NOBODY: Final[tuple[OperationObserver, ...]] = ()


@define(eq=False)
class OperationObservers:
    """Those who want to be told: :attr:`Node.operations`. While there is nobody, it costs nothing.

    Whoever adds itself, in its :meth:`Component.start`, removes itself in its `stop`.
    """

    _observers: tuple[OperationObserver, ...] = _NOBODY

    def __bool__(self) -> bool:
        return bool(self._observers)

    def add(self, observer: OperationObserver) -> None:
        """Tell an observer of operations that begin from now on."""
        self._observers = (*self._observers, observer)

    def remove(self, observer: OperationObserver) -> None:
        """Tell it no more; nothing happens if it was not told."""
        self._observers = tuple(each for each in self._observers if each is not observer)

    def tell_began(self, operation: ObservedOperation) -> None:
        """Tell all. The kernel calls this."""
        for observer in self._observers:
            try:
                observer.began(operation)
            except Exception:
                logger.exception("%s.began failed", type(observer).__qualname__)

    def tell_ended(self, operation: ObservedOperation, end: OperationEnd) -> None:
        """Tell all. The kernel calls this."""
        for observer in self._observers:
            try:
                observer.ended(operation, end)
            except Exception:
                logger.exception("%s.ended failed", type(observer).__qualname__)
