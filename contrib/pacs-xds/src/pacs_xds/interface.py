"""Registrations: which manifest of which study is registered, since when, and what it replaced."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Final

from attrs import frozen
from pacs_core.contracts import AuditCode, Component, PluginAuditKind

REGISTER: Final = "xds.register"
"""The kind of the job that registers."""


def _kind(name: str, event: AuditCode, transaction: str, meaning: str) -> PluginAuditKind:
    return PluginAuditKind(name, event, AuditCode(transaction, "IHE Transactions", meaning))


_ACCESSED: Final = AuditCode("110103", "DCM", "DICOM Instances Accessed")
_TRANSFERRED: Final = AuditCode("110104", "DCM", "DICOM Instances Transferred")
_EXPORT: Final = AuditCode("110106", "DCM", "Export")
_IMPORT: Final = AuditCode("110107", "DCM", "Import")
_QUERY: Final = AuditCode("110112", "DCM", "Query")
# Of documents ITI TF-2 says which event it is; of images RAD TF-3 Table 5.1-2.

PROVIDED: Final = _kind(
    "xds.provided", _EXPORT, "RAD-68", "Provide and Register Imaging Document Set - MTOM/XOP"
)
DEPRECATED: Final = _kind("xds.deprecated", _EXPORT, "ITI-57", "Update Document Set")
QUERIED: Final = _kind("xds.queried", _QUERY, "ITI-18", "Registry Stored Query")
RETRIEVED: Final = _kind("xds.retrieved", _IMPORT, "ITI-43", "Retrieve Document Set")
IMAGES_RETRIEVED: Final = _kind(
    "xds.images-retrieved", _ACCESSED, "RAD-69", "Retrieve Imaging Document Set"
)
IMAGES_MOVED: Final = _kind("xds.images-moved", _ACCESSED, "RAD-16", "Retrieve Images")
IMAGES_SENT: Final = _kind(
    "xds.images-sent", _TRANSFERRED, "RAD-69", "Retrieve Imaging Document Set"
)
VIEWED: Final = PluginAuditKind("xds.viewed")
ASKED: Final = PluginAuditKind("xds.asked")


class RegistrationState(StrEnum):
    """How far a registration is."""

    PENDING = "pending"
    """It is being sent, or will be again."""
    REGISTERED = "registered"
    REPLACED = "replaced"
    """A later one took its place, and the registry holds it for deprecated."""
    STALE = "stale"
    """The registry holds it for approved still, and its study is gone, or another patient's."""
    WITHDRAWN = "withdrawn"
    """It was stale, and the registry holds it for deprecated."""
    FAILED = "failed"
    """It was refused, and waits for somebody."""


@frozen
class Registration:
    """A manifest of a study.

    Attributes
    ----------
    number : int
    study_instance_uid : str
    digest : str
        Of what the manifest names.
    document_uid : str
        Its SOP Instance UID, and uniqueId of the entry.
    entry_uuid, submission_uid : str
    state : RegistrationState
    created, changed : float
        Seconds since the epoch.
    replaces : str
        UUID of the entry that it replaces; empty for none.
    patient_id : str
        As registered.
    instances : int
        That it names.
    modalities : tuple of str
        Of the study.
    attempts : int
        How often it was sent.
    reason : str
        Why it failed, or has not been taken yet.
    content : bytes
        The manifest, as long as it is to be sent.
    """

    number: int
    study_instance_uid: str
    digest: str
    document_uid: str
    entry_uuid: str
    submission_uid: str
    state: RegistrationState
    created: float
    changed: float
    replaces: str
    patient_id: str
    instances: int
    modalities: tuple[str, ...]
    attempts: int
    reason: str
    content: bytes


class Registrations(Component):
    """What is registered, and what is to be."""

    @abstractmethod
    async def request(self, study_instance_uid: str) -> None:
        """Have a study registered, as far as what there is of it is not registered yet."""

    @abstractmethod
    async def latest(self, study_instance_uid: str) -> Registration | None:
        """Return the latest registration of a study, or None."""

    @abstractmethod
    async def current(self, study_instance_uid: str) -> Registration | None:
        """Return the one that the registry holds for approved, or None."""

    @abstractmethod
    async def add(self, registration: Registration) -> Registration:
        """Keep what is about to be sent; return it with its number."""

    @abstractmethod
    async def note_attempt(self, registration: Registration) -> None:
        """Count an attempt, before anything is sent."""

    @abstractmethod
    async def note(self, registration: Registration, state: RegistrationState, reason: str) -> None:
        """Say what became of it; one that is registered replaces the one before."""

    @abstractmethod
    def search(
        self, *, study: str = "", state: RegistrationState | None = None
    ) -> AsyncIterator[Registration]:
        """Iterate over registrations, the latest first."""
