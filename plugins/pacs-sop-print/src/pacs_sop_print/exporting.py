"""Record of images that went to the films of somebody else's printer (PS3.15 A.5.3.5, Export)."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Origin,
    Outcome,
    Participant,
    ParticipantRole,
    Peer,
    PluginAuditKind,
)
from pacs_core.dataset import Attributes, tag_of

SENT: Final = PluginAuditKind("print.sent", AuditCode("110106", "DCM", "Export"))

_STUDY, _SOP_CLASS = tag_of("StudyInstanceUID"), tag_of("SOPClassUID")
_PATIENT, _NAME = tag_of("PatientID"), tag_of("PatientName")


def exported(origin: Origin, peer: Peer, images: Sequence[Attributes], reason: str) -> AuditEvent:
    """Return the event of images that were printed on a peer.

    Parameters
    ----------
    origin : Origin
        Who printed them.
    peer : Peer
    images : sequence of Attributes
        Those that were shown, or were to be.
    reason : str
        Why it failed; empty if it did not.
    """
    user = origin.principal.name if origin.principal else origin.interface
    studies: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for image in images:
        studies[_text(image, _STUDY)][_text(image, _SOP_CLASS)] += 1
    patients = {_text(image, _PATIENT): _text(image, _NAME) for image in images}
    objects = [
        AuditObject(AuditObjectKind.STUDY, uid, sop_classes=dict(classes))
        for uid, classes in studies.items()
    ]
    objects += [AuditObject(AuditObjectKind.PATIENT, *patient) for patient in patients.items()]
    details: dict[str, AuditValue] = {"images": len(images), "printer": str(peer)}
    if reason:
        details["reason"] = reason
    return AuditEvent(
        SENT,
        Outcome.FAILURE if reason else Outcome.SUCCESS,
        origin,
        details,
        action=EventAction.READ,
        participants=(
            Participant(user, None, is_requestor=True),
            Participant(peer.ae_title, ParticipantRole.DESTINATION_MEDIA, host=peer.host),
        ),
        objects=tuple(objects),
    )


def _text(attributes: Attributes, tag: int) -> str:
    return str((attributes.get(tag) or ("",))[0])
