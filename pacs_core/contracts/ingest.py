"""Outcome of an ingest: what became of an instance, or why the archive did not take it."""

from enum import Enum

from attrs import frozen

from pacs_core.contracts.instance import StoredInstance


class IngestOutcome(Enum):
    """What became of an instance that was handed to the archive."""

    STORED = "stored"
    IDENTICAL = "identical"
    """The archive held exactly these bytes already; nothing was written."""
    SET_ASIDE = "set-aside"
    """Policy ``keep-first``: another content has this UID and stays the one that is served;
    the newcomer was kept durably beside it."""
    REPLACED = "replaced"
    """Policy ``replace``, or what was held is damaged: the newcomer is served from now on."""


@frozen
class IngestResult:
    """What became of an instance.

    Attributes
    ----------
    outcome : IngestOutcome
    instance : StoredInstance
        What the archive serves under this UID from now on.
    oddities : tuple of str
        What is against PS3.5 in the dataset that came, and was put up with.
    obstacle : str
        Why that cannot be converted to another transfer syntax; empty if it can, as far as its
        elements say. Its sender deserves a warning.
    coerced : tuple of int
        Tags of what ingest filters have changed before it was stored.
    """

    outcome: IngestOutcome
    instance: StoredInstance
    oddities: tuple[str, ...] = ()
    obstacle: str = ""
    coerced: tuple[int, ...] = ()


class IngestError(Exception):
    """The archive did not take an instance. Nothing of it was left behind."""


class InvalidInstanceError(IngestError):
    """The dataset is malformed or lacks a UID of its hierarchy."""


class IdentityMismatchError(IngestError):
    """The dataset's SOP Class or SOP Instance UID is not the one that was announced."""


class DuplicateInstanceError(IngestError):
    """Policy ``reject``: another content with this SOP Instance UID is stored already."""


class OutOfResourcesError(IngestError):
    """No room in the store, or no memory within the node's budget."""
