"""Print jobs of the site, as the service provider and the printing see them."""

from abc import abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen

from pacs_core.contracts import Component
from pacs_sop_print.films import PrintJob
from pacs_sop_print.spool import Spool

PRINT: Final = "print.films"
"""The kind of job that prints."""
ATTEMPTS: Final = 10
"""After which a print job has failed, until somebody retries it."""


class ExecutionStatus(StrEnum):
    """Execution Status (2100,0020) of a print job (PS3.3 C.13.8)."""

    PENDING = "PENDING"
    PRINTING = "PRINTING"
    DONE = "DONE"
    FAILURE = "FAILURE"


ENDED: Final = (ExecutionStatus.DONE, ExecutionStatus.FAILURE)


@frozen
class JobRecord:
    """What is known of a print job.

    Attributes
    ----------
    uid, folder, priority, label, originator, created
        See :class:`PrintJob`.
    state : ExecutionStatus
    info : str
        Execution Status Info (2100,0030).
    error : str
        Why it failed last, in words.
    films : int
    """

    uid: str
    folder: str
    state: ExecutionStatus
    info: str
    error: str
    priority: str
    label: str
    originator: str
    films: int
    created: str


class QueueFullError(Exception):
    """So many print jobs wait that no more are taken."""


class PrintQueue(Component):
    """Print jobs: accepted, printed, done or failed.

    Attributes
    ----------
    spool : Spool
        Their files.
    """

    spool: Spool

    @abstractmethod
    async def accept(self, job: PrintJob, folder: str) -> None:
        """Enter a job whose files are kept: it will be printed, whatever happens.

        Raises
        ------
        QueueFullError
        """

    @abstractmethod
    async def find(self, uid: str) -> JobRecord | None:
        """Return a print job, or None."""

    @abstractmethod
    async def find_all(self, uids: Sequence[str]) -> list[JobRecord]:
        """Return those print jobs that are known."""

    @abstractmethod
    async def note(
        self, uid: str, state: ExecutionStatus, info: str = "NORMAL", error: str = ""
    ) -> None:
        """Say how far a print job is."""

    @abstractmethod
    async def trouble(self) -> str:
        """Return why the print job that was tried last did not print; empty if it did."""

    @abstractmethod
    async def forget(self, ended_before: float) -> int:
        """Forget jobs that ended before a time, and folders that no job has; return how many."""
