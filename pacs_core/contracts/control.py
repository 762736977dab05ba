"""The contract of control operations: what commands ask of a node that runs.

A command of ``pacs`` is a process of its own: it can read the archive, but not look into the node,
nor change what the node does. A plugin that wants its commands to do so declares an operation,
which its part in the node handles and its command calls, over a socket that only the owner of the
node's files may use.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Generic, Literal, TypeVar

from attrs import field, frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import Origin

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class ControlError(Exception):
    """An operation failed, or cannot be carried out; the message is for whoever gave the command.

    A handler raises it to refuse a request; a caller gets it for whatever the handler raised.

    Attributes
    ----------
    status : int
        As of HTTP (RFC 9110): 400 a request that makes no sense, 404 what is not there, 409 what
        cannot be done now, 500 an internal error, of which the node's log has the traceback. Of
        other errors it is that of :data:`ERRORS`.
    """

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


class NodeNotRunningError(ControlError):
    """No node answers on the data directory."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 503)


@frozen
class ControlOperation(Generic[RequestT, ResponseT]):
    """Something to ask of a running node: what handler and caller agree on.

    Attributes
    ----------
    name : str
        Unique, with a dot: ``"forwarder.pause"``. Names without one are the kernel's.
    request, response : type
        Classes of attrs, whose values JSON can express: text, numbers, bytes, paths, moments,
        enumerations, lists, mappings, and classes of these. Both sides structure them strictly.
    workers : ``"one"`` or ``"all"``
        Which of the node's processes handle it: any one, or each.
    """

    name: str
    request: type[RequestT]
    response: type[ResponseT]
    workers: Literal["one", "all"] = "one"


@frozen
class WorkerResponse(Generic[ResponseT]):
    """A response, and which of the node's processes gave it."""

    worker: int
    value: ResponseT = field()


class ControlHandler(Component, ABC, Generic[RequestT, ResponseT]):
    """Handles an operation in each process of the node; may be asked by many at the same time.

    It starts when all services run, and stops before the first of them ends. The kernel logs that
    it was asked and by whom, and records it before anything is done (`control`), and again if it
    fails; it does not record the request, which may have secrets.
    """

    @abstractmethod
    def handle(self, request: RequestT, origin: Origin) -> AsyncIterator[ResponseT]:
        """Do what is asked, and iterate over responses; none, one, or without end.

        Written as an asynchronous generator. Each response goes out at once; a caller that does
        not take them holds the generator up. When the caller leaves, or the node ends, the
        generator is cancelled where it waits.

        Parameters
        ----------
        request : object
            Of the operation's request class.
        origin : Origin
            The user of the operating system who gave the command, as principal ``local``.

        Raises
        ------
        ControlError
            To refuse; the caller gets the message. Of what :data:`ERRORS` knows it gets status
            and message, and of anything else that there was an internal error.
        """
