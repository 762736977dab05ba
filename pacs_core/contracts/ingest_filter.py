"""The contract of ingest filters: they judge, and may change, what arrives before it is stored."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Final

from attrs import Attribute, field, frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.ingest import IngestError, IngestResult
from pacs_core.contracts.instance import InstanceIdentity, Origin
from pacs_core.dataset import Changes, ElementSet, check_changes, tag_of
from pacs_core.dimse import Status, StatusCategory, category

REASONS: Final = ("COERCE", "CORRECT", "ADD")
"""Defined terms of Reason for the Attribute Modification (0400,0565)."""


class RejectedInstanceError(IngestError):
    """A filter did not let an instance in.

    Attributes
    ----------
    status : int
        What a C-STORE is answered.
    """

    def __init__(self, reason: str, status: int = Status.PROCESSING_FAILURE) -> None:
        super().__init__(reason)
        self.status = status


class IngestFilterError(IngestError):
    """A filter failed, so that nothing is stored that it has not judged."""


@frozen
class IncomingHeader:
    """The header of an instance that arrives: what comes before its Pixel Data.

    Attributes
    ----------
    identity : InstanceIdentity
    transfer_syntax_uid : str
    elements : ElementSet
        With VRs, private elements, sequences; of bulk data only where they lie.
    """

    identity: InstanceIdentity
    transfer_syntax_uid: str
    elements: ElementSet

    def texts(self, tag: int) -> tuple[str, ...]:
        """Return the values of an element as text; none if it has none, or bulk data."""
        return self.elements.texts(tag)


@frozen
class Accept:
    """The instance may come in as it is."""


def _changes(_: object, __: "Attribute[Any]", changes: Changes) -> None:
    if not changes:
        raise ValueError("an Edit changes something; else it is Accept()")
    check_changes(changes)


def _reason(edit: "Edit", __: "Attribute[Any]", reason: str) -> None:
    if reason and tag_of("OriginalAttributesSequence") in edit.changes:
        raise ValueError("who removes Original Attributes Sequence gives no reason in it")
    if reason and reason not in REASONS:
        raise ValueError(f"{reason!r} is none of {', '.join(REASONS)} (PS3.3 C.12.1.1.9)")


@frozen
class Edit:
    """The instance comes in with some of its top-level elements set or removed.

    Attributes
    ----------
    changes : Changes
        By tag: the values as in `Attributes`, or None to remove the element.
    reason : str
        Of :data:`REASONS`: what is said in an item of Original Attributes Sequence (0400,0561),
        with the previous values (PS3.3 C.12.1.1.9). Empty adds none, as a de-identification must,
        which may then also remove that sequence.

    Raises
    ------
    ValueError
        Nothing is changed, or the reason is none.
    UnencodableValue
        An attribute cannot be changed, or cannot have these values.
    """

    changes: Changes = field(validator=_changes)
    reason: str = field(default="COERCE", validator=_reason)


def _is_failure(_: object, __: "Attribute[Any]", status: int) -> None:
    if category(status) is not StatusCategory.FAILURE:
        raise ValueError(f"{status:04X}H is no failure (PS3.7 Annex C)")


@frozen
class Reject:
    """The instance does not come in.

    Attributes
    ----------
    reason : str
        For the sender, in Error Comment (0000,0902), of which peers see 64 characters.
    status : int
        What a C-STORE is answered; a failure of PS3.4 Table B.2-1 or PS3.7 Annex C.

    Raises
    ------
    ValueError
        The status is no failure.
    """

    reason: str
    status: int = field(default=Status.PROCESSING_FAILURE, validator=_is_failure)


@frozen
class Divert:
    """The instance does not come in this way: the filter's plugin takes all of it.

    For what has to be looked at whole before it may be stored. What `take` returns is what became
    of it, and what it raises is why it was not stored: :class:`RejectedInstanceError`, say.
    If it hands the instance to :meth:`Archive.ingest` again, all filters are asked, so let the
    origin tell that from what comes by itself. Filters that come later are not asked of what is
    diverted.

    Attributes
    ----------
    take : callable
        Awaited with the dataset, as the filters before have left it, which it reads to the end.
    """

    take: Callable[[AsyncIterable[bytes | memoryview]], Awaitable[IngestResult]]


FilterVerdict = Accept | Edit | Reject | Divert


class IngestFilter(Component, ABC):
    """Judges what arrives, by whatever door, before it is stored.

    Filters are asked one after another, each about what the one before has made of the instance.
    Nothing is stored that one of them has not judged: where a filter raises, takes longer than
    ``network.timeouts.plugin``, or has not started, the instance is refused. A filter is asked
    by many associations at once.
    """

    @abstractmethod
    async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
        """Say what becomes of an instance.

        Parameters
        ----------
        header : IncomingHeader
            As filters before this one have left it.
        origin : Origin
            Who sends it, and by which door.

        Returns
        -------
        Accept, Edit, Reject or Divert
        """


def changed_tags(edits: Iterable[Edit]) -> tuple[int, ...]:
    """Return the tags that edits change, in ascending order."""
    return tuple(sorted({tag for edit in edits for tag in edit.changes}))
