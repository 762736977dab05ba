"""Deletion of all that a query finds: what became of it, and the error about what is left."""

from collections import Counter
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from pacs_core.contracts.instance import InstanceNotFoundError, InstancePath


class DeletionError(Exception):
    """Some of what was to be deleted is still there; the message says why."""


class InstanceHeldError(DeletionError):
    """A deletion guard keeps some of what was to be deleted; the message says why."""


@frozen
class DeletionReport:
    """What was deleted.

    Attributes
    ----------
    studies : mapping of str to int
        Instances by Study Instance UID.
    failures : mapping of InstancePath to str
        What could not be deleted, and why.
    held : mapping of InstancePath to str
        What deletion guards keep, and why. Of a study with such instances nothing was deleted.
    """

    studies: Mapping[str, int] = field(factory=dict)
    failures: Mapping[InstancePath, str] = field(factory=dict)
    held: Mapping[InstancePath, str] = field(factory=dict)

    @property
    def instances(self) -> int:
        """How many instances were deleted."""
        return sum(self.studies.values())

    @classmethod
    def merge(cls, reports: Iterable["DeletionReport"]) -> "DeletionReport":
        """Return one report of several deletions."""
        studies = Counter[str]()
        failures: dict[InstancePath, str] = {}
        held: dict[InstancePath, str] = {}
        for report in reports:
            studies.update(report.studies)
            failures.update(report.failures)
            held.update(report.held)
        return cls(dict(studies), failures, held)

    def raise_unless_deleted(self, what: str) -> None:
        """Raise the error that answers for a deletion that was not done.

        Every door answers alike, as the table of errors has it: nothing was there, or some of it
        still is.

        Parameters
        ----------
        what : str
            What was to be deleted, for the message: ``"study 1.2.3"``.

        Raises
        ------
        DeletionError
            Something is still there.
        InstanceHeldError
            That is because of deletion guards alone.
        InstanceNotFoundError
            There was nothing to delete.
        """
        if self.failures:
            raise DeletionError(_describe({**self.held, **self.failures}, "still there"))
        if self.held:
            raise InstanceHeldError(_describe(self.held, "held"))
        if not self.instances:
            raise InstanceNotFoundError(f"there is no {what}")


def _describe(reasons: Mapping[InstancePath, str], what: str) -> str:
    count = len(reasons)
    instances = f"{count} instance is" if count == 1 else f"{count} instances are"
    shown = "; ".join(reason for reason, _ in Counter(reasons.values()).most_common(3))
    return f"{instances} {what}: {shown}"
