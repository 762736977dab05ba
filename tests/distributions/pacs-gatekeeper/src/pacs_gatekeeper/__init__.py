"""What may come into an archive, and as what: three ingest filters.

`rejection` turns away some modalities, `coercion` gives patient IDs the issuer and the form of the
site, `deidentification` takes the patient out of what comes for a trial.
"""

from hashlib import sha256

from attrs import field, frozen

from pacs_core.contracts import (
    Accept,
    Edit,
    FilterVerdict,
    IncomingHeader,
    IngestFilter,
    IngestFilterDescriptor,
    Origin,
    Reject,
    Setup,
)
from pacs_core.dataset import Value, tag_of
from pacs_core.dimse import Status
from pacs_core.plugins import hookimpl

PATIENT_ID, ISSUER = tag_of("PatientID"), tag_of("IssuerOfPatientID")
UIDS = tuple(
    map(tag_of, ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"))
)
PEOPLE = (0x0008, 0x0010, 0x0032, 0x0038, 0x0040)
KEPT = frozenset(
    map(tag_of, ("SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "SpecificCharacterSet"))
)


@frozen
class Config:
    """``[plugin.gatekeeper]``.

    Attributes
    ----------
    unwanted : tuple of str
        Modalities that are turned away.
    issuer : str
        Issuer of Patient ID (0010,0021) of what comes without one; empty leaves that alone.
    trials : tuple of str
        AE titles of which all is de-identified.
    broken : bool
        Whether the last filter fails.
    """

    unwanted: tuple[str, ...] = ()
    issuer: str = ""
    trials: tuple[str, ...] = field(default=())
    broken: bool = False


class Rejection(IngestFilter):
    """Turns modalities away."""

    def __init__(self, config: Config) -> None:
        self._unwanted = config.unwanted

    async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
        """Reject, or accept."""
        found = header.texts(tag_of("Modality"))
        if set(found) & set(self._unwanted):
            return Reject(f"{found[0]} is not archived here", Status.NOT_AUTHORIZED)
        return Accept()


class Coercion(IngestFilter):
    """Gives patient IDs an issuer, and no spaces."""

    def __init__(self, config: Config) -> None:
        self._issuer = config.issuer

    async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
        """Edit what has a Patient ID and no issuer."""
        identifier = "".join(header.texts(PATIENT_ID))
        if not self._issuer or not identifier or header.texts(ISSUER):
            return Accept()
        return Edit({ISSUER: (self._issuer,), PATIENT_ID: (identifier.replace(" ", ""),)})


class Deidentification(IngestFilter):
    """Takes away who the patient is, and gives new UIDs, the same for the same."""

    def __init__(self, config: Config) -> None:
        self._trials = config.trials
        self._broken = config.broken

    async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
        """Edit what comes for a trial."""
        if self._broken:
            raise RuntimeError("the key of the trial is lost")
        if origin.calling_ae_title not in self._trials:
            return Accept()
        changes: dict[int, tuple[Value, ...] | None] = {
            element.tag: None
            for element in header.elements
            if (element.tag >> 16 & 1 or element.tag >> 16 in PEOPLE) and element.tag not in KEPT
        }
        for tag in UIDS:
            if former := header.texts(tag):
                changes[tag] = (f"2.25.{int(sha256(former[0].encode()).hexdigest()[:30], 16)}",)
        changes[PATIENT_ID] = ("ANONYMOUS",)
        changes[tag_of("OriginalAttributesSequence")] = None  # it says what was taken away
        return Edit(changes, reason="")


@hookimpl
def pacs_config() -> type:
    """Declare the table ``[plugin.gatekeeper]``."""
    return Config


@hookimpl
def pacs_ingest_filters(setup: Setup) -> list[IngestFilterDescriptor]:
    """Register the filters; their order is what they say, not that of this list."""
    config = setup.config(Config)
    return [
        IngestFilterDescriptor(
            "deidentification", lambda node: Deidentification(config), after=("coercion",)
        ),
        IngestFilterDescriptor("coercion", lambda node: Coercion(config), after=("rejection",)),
        IngestFilterDescriptor("rejection", lambda node: Rejection(config)),
    ]
