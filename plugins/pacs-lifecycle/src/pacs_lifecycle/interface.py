"""Interfaces of what lifecycle keeps beside the index: studies, holds, and the bin.

This module imports SQLAlchemy for nothing, so that naming an interface in `requires` costs nothing
at start-up.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen

from pacs_core.contracts import Component, DeletedInstance, DeletionBin, WarningSource

CLEAN_JOB: Final = "lifecycle.clean"
"""Kind of the job that makes room."""
PREFETCH_JOB: Final = "lifecycle.prefetch"
"""Kind of the job that fetches priors."""
QUOTA_JOB: Final = "lifecycle.quota"
"""Kind of the job that deletes what is over a quota."""
COUNT_JOB: Final = "lifecycle.count"
"""Kind of the job that counts anew what a quota is about."""


@frozen
class StudyFacts:
    """What is known of a study beside the index.

    Attributes
    ----------
    uid : str
        Study Instance UID.
    arrived : float
        When its last instance came, in seconds since 1970, as all times.
    complete : bool
        Whether it is said to be complete.
    """

    uid: str
    arrived: float
    complete: bool = False


@frozen
class Hold:
    """A study that must not be deleted.

    Attributes
    ----------
    study : str
    reason, held_by : str
        Why, and who says so.
    since : float
    """

    study: str
    reason: str
    held_by: str
    since: float


class Studies(Component):
    """The facts of all studies, and which of them are held."""

    @abstractmethod
    async def note_arrivals(self, arrivals: Mapping[str, float]) -> None:
        """Note when the last instances of studies came; these are not complete then."""

    @abstractmethod
    async def note_complete(self, uids: Collection[str], *, complete: bool) -> None:
        """Note whether studies are complete."""

    @abstractmethod
    async def forget(self, uids: Collection[str]) -> None:
        """Forget studies that the archive has not any more."""

    @abstractmethod
    def by_arrival(self, before: float) -> AsyncIterator[Sequence[StudyFacts]]:
        """Iterate over studies that arrived before a moment, the oldest first, in batches."""

    @abstractmethod
    def by_uid(self, after: str) -> AsyncIterator[str]:
        """Iterate over the UIDs of studies that come after one in the order of texts."""

    @abstractmethod
    async def hold(self, hold: Hold) -> None:
        """Hold a study, whether the archive has it or not."""

    @abstractmethod
    async def release(self, study: str) -> bool:
        """Hold a study no more; tell whether it was held."""

    @abstractmethod
    async def holds(self, studies: Collection[str] = ()) -> Sequence[Hold]:
        """Return what is held: of these studies, or all."""


@frozen
class Usage:
    """How much there is of what a quota is about."""

    studies: int = 0
    instances: int = 0
    size: int = 0


class Quotas(Component):
    """How much of each quota is used, study by study."""

    @abstractmethod
    async def define(self, quota: str, definition: str) -> bool:
        """Note what a quota is about; tell whether it was about something else, and counts anew."""

    @abstractmethod
    async def note(self, quota: str, study: str, instances: int, size: int) -> None:
        """Note how much of a study belongs to a quota, in place of what was noted."""

    @abstractmethod
    async def usage(self, quota: str) -> Usage:
        """Return how much of a quota is used."""

    @abstractmethod
    async def has_study(self, quota: str, study: str) -> bool:
        """Tell whether something of a study belongs to a quota."""

    @abstractmethod
    def studies(self, quota: str) -> AsyncIterator[StudyFacts]:
        """Iterate over the studies that belong to a quota, the oldest first."""


@frozen
class Pass:
    """A look at everything, and how far it has come.

    Attributes
    ----------
    position : str
        Study Instance UID of the last study that was looked at.
    began, ended : float
        0 for not yet.
    checked, unread : int
        Instances that were read, and those that were not, because they are not online.
    size : int
        Bytes that were read.
    """

    position: str = ""
    began: float = 0.0
    ended: float = 0.0
    checked: int = 0
    unread: int = 0
    size: int = 0


@frozen
class Finding:
    """Something that is wrong with an object.

    Attributes
    ----------
    key : str
        Of the object.
    kind : str
        As :class:`DifferenceKind` has it.
    instance : str
        SOP Instance UID; empty if it is not known.
    detail : str
    found : float
        When it was first found.
    """

    key: str
    kind: str
    instance: str
    detail: str
    found: float


class Findings(Component):
    """What was found wrong, and how far the looks have come."""

    @abstractmethod
    async def claim(self, name: str, seconds: float) -> Pass | None:
        """Return how far a pass has come, and hold it; None while another process holds it."""

    @abstractmethod
    async def save(self, name: str, state: Pass, hold: float) -> None:
        """Note how far a pass has come, and hold it for so many seconds more."""

    @abstractmethod
    async def last(self, name: str) -> Pass:
        """Return how far a pass has come, or came."""

    @abstractmethod
    async def note(self, by_whom: str, findings: Sequence[Finding]) -> None:
        """Note what was found; what was known keeps its time."""

    @abstractmethod
    async def clear(self, by_whom: str, instances: Collection[str] | None = None) -> None:
        """Forget what somebody has found: about these SOP Instance UIDs, or all."""

    @abstractmethod
    async def found(self, limit: int) -> Sequence[Finding]:
        """Return what is wrong, the oldest first."""

    @abstractmethod
    async def counts(self) -> Mapping[str, int]:
        """Return how many findings there are, by kind."""


class LifecycleWarnings(WarningSource):
    """What lifecycle has to warn of."""


class BinState(StrEnum):
    """What happens to something in the bin."""

    WAITING = "waiting"
    RESTORING = "restoring"
    PURGING = "purging"
    """It is being removed for good, and does not come back."""


@frozen
class StudyInBin:
    """What the bin has of a study.

    Attributes
    ----------
    study : str
    patient : str
        Patient ID and name.
    instances, size : int
    deleted : float
        When the last of it was deleted.
    deleted_by : str
    """

    study: str
    patient: str
    instances: int
    size: int
    deleted: float
    deleted_by: str


class WaitingBin(DeletionBin):
    """What was deleted, until it is restored or removed for good."""

    @abstractmethod
    def studies(self) -> AsyncIterator[StudyInBin]:
        """Iterate over what is in the bin, by study, what was deleted first first."""

    @abstractmethod
    async def total(self) -> Usage:
        """Return how much there is in the bin."""

    @abstractmethod
    async def claim(
        self, state: BinState, *, study: str = "", before: float = 0.0, limit: int = 100
    ) -> Sequence[DeletedInstance]:
        """Return some that nobody else restores or removes, and note what is done with them.

        What was claimed for the same by a process that has died is claimed again. So is what
        somebody has begun to restore an hour ago.

        Parameters
        ----------
        state : BinState
            ``RESTORING`` or ``PURGING``.
        study : str
            Only of this study.
        before : float
            Only what was deleted before this moment; 0 for any.
        limit : int
            At most so many.
        """

    @abstractmethod
    async def unclaim(self, keys: Collection[str]) -> None:
        """Let what was claimed wait again."""
