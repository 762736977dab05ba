"""Ways of asking services, and requests to them, as adapters and other plugins see them.

This module imports SQLAlchemy for nothing, so that naming an interface in `requires` costs nothing
at start-up.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from pacs_ai.config import ServiceConfig
from pacs_ai.models import (
    Assessment,
    InferenceRequest,
    InferenceResult,
    RequestFilter,
    ResultFinding,
    ServiceTotal,
)
from pacs_core.contracts import Component, Node, Origin, StoredInstance

if TYPE_CHECKING:
    from pacs_dicomweb.api import Content


class ServiceAwayError(OSError):
    """A service cannot be reached, or says that it takes nothing for now; it is asked again."""


class ServiceRefusedError(Exception):
    """A service says that it will not work on a request: asking again is pointless."""


class Answer(StrEnum):
    """What an adapter says once a service was asked, or looked after."""

    COMPLETE = "complete"
    """All results have come."""
    LATER = "later"
    """Results come by another way, whenever the service has them."""
    WAITING = "waiting"
    """The service has not begun: `answer_within` does not run yet, only `give_up_after` does."""


class Inputs(ABC):
    """The instances of a request, in the form in which the service may have them.

    Attributes
    ----------
    instances : sequence of StoredInstance
    deidentify : str
        Profile by which they are to be de-identified; empty for not.
    """

    instances: Sequence[StoredInstance]
    deidentify: str

    @abstractmethod
    def open(self) -> "AbstractAsyncContextManager[Sequence[Content]]":
        """Open them as Part 10 files, for an ``async with`` block; de-identified, if need be."""


class ResultTaker(ABC):
    """Takes what a service answers, while it answers."""

    @abstractmethod
    async def take(self, content: AsyncIterable[bytes]) -> InferenceResult:
        """Check what should be a Part 10 file, and archive or quarantine it.

        It is durable when this returns. What is not DICOM, or too large, is in quarantine as well.
        """


class ServiceError(Exception):
    """A service has answered something that makes no sense, or failed; that counts."""


class InferenceAdapter(Component, ABC):
    """One way of asking services: one object for each service that is asked so.

    An adapter is asked from jobs: at least once for each request, since a node may be killed after
    the service was asked. So a service may see a request twice, with the same number.

    Parameters
    ----------
    node : Node
    name : str
        Of the service.
    service : ServiceConfig
        Its table.
    """

    has_other_doors: ClassVar[bool] = False
    """Whether results come by themselves, also while `ask` waits for the service to say more."""

    def __init__(self, node: Node, name: str, service: ServiceConfig) -> None:
        self.node, self.name, self.service = node, name, service

    @abstractmethod
    async def ask(self, request: InferenceRequest, inputs: Inputs, results: ResultTaker) -> Answer:
        """Ask the service, and hand on what it answers at once.

        Cancelled when the request is cancelled, and after the service's `timeout`.

        Raises
        ------
        ServiceAwayError
            It cannot be reached, or takes nothing for now: it will be asked again, for days.
        ServiceRefusedError
            It will not work on this.
        Exception
            Anything else: it has failed with it, and is asked as often as `attempts` says.
        """

    async def look(self, request: InferenceRequest) -> Answer:
        """Say whether a request whose results come later has been answered.

        Asked now and then. This default leaves it to results that come: the first one answers it.

        Raises
        ------
        ServiceRefusedError
            The service has given it up.
        """
        return Answer.LATER

    async def cancel(self, request: InferenceRequest) -> None:
        """Tell the service that a request is not wanted any more; by default nobody does."""


@frozen
class InferenceAdapterDescriptor:
    """What plugins return from the hook ``pacs_inference_adapters``.

    Attributes
    ----------
    name : str
        As `adapter` of a service names it.
    create : callable
        Makes the adapter of a service, given the node, the service's name, and its table.
    requires : tuple of type
        Interfaces of capabilities that it cannot do without.
    """

    name: str
    create: Callable[[Node, str, ServiceConfig], InferenceAdapter]
    requires: tuple[type, ...] = ()


class Inferences(Component):
    """Requests to services and their results, for other plugins; ``node.find(Inferences)``."""

    @abstractmethod
    async def ask(
        self,
        service: str,
        study_uid: str,
        *,
        series_uids: Sequence[str] = (),
        priority: int = 0,
        asked_by: str = "",
        again: bool = False,
    ) -> Sequence[InferenceRequest]:
        """Have a service asked about a study; durable when this returns.

        Parameters
        ----------
        service : str
        study_uid : str
        series_uids : sequence of str
            Which of its series; empty for what the rules of the service select, and for all that
            is no result, if it has none.
        priority : int
        asked_by : str
        again : bool
            Also if this version was asked about the same instances before.

        Raises
        ------
        LookupError
            There is no such service, or nothing that it could be asked about.
        """

    @abstractmethod
    async def find(self, number: int) -> InferenceRequest:
        """Return a request.

        Raises
        ------
        KeyError
        """

    @abstractmethod
    def requests(self, wanted: RequestFilter, limit: int) -> AsyncIterator[InferenceRequest]:
        """Iterate over requests, the latest first."""

    @abstractmethod
    async def find_result(self, number: int) -> InferenceResult:
        """Return a result.

        Raises
        ------
        KeyError
        """

    @abstractmethod
    def results(self, wanted: RequestFilter, limit: int) -> AsyncIterator[InferenceResult]:
        """Iterate over results, the latest first."""

    @abstractmethod
    async def totals(self) -> Sequence[ServiceTotal]:
        """Count requests, results and assessments by service and version."""

    @abstractmethod
    async def cancel(self, number: int, by: str) -> InferenceRequest:
        """Cancel a request that has not ended.

        Raises
        ------
        KeyError, ValueError
            There is none; it has ended.
        """

    @abstractmethod
    async def release(self, number: int, origin: Origin) -> InferenceResult:
        """Archive a result that is in quarantine, although it was not found good.

        What can be corrected of it is.

        Raises
        ------
        KeyError, ValueError
            There is none; it is not in quarantine, or cannot be archived at all.
        """

    @abstractmethod
    async def discard(self, number: int, origin: Origin) -> InferenceResult:
        """Delete a result that is in quarantine; that it came stays known.

        Raises
        ------
        KeyError, ValueError
            As :meth:`release`.
        """

    @abstractmethod
    async def assess(
        self,
        number: int,
        assessment: Assessment,
        origin: Origin,
        *,
        comment: str = "",
        finding: str = "",
    ) -> InferenceResult:
        """Say what is to be thought of a result, or of a finding, as an SR that refers to it.

        Parameters
        ----------
        number : int
        assessment : Assessment
        origin : Origin
        comment : str
        finding : str
            Tracking UID, Observation UID or Segment Number; empty for the whole result.

        Raises
        ------
        LookupError, ValueError
            There is none (KeyError), or no such finding; it is not archived, or that is no
            assessment.
        """

    @abstractmethod
    async def findings(self, number: int) -> Sequence[ResultFinding]:
        """Return the findings of a result that can be assessed, and what is thought of them.

        There are none of one that is not archived.

        Raises
        ------
        KeyError
        """
