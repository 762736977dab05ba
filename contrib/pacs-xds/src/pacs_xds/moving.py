"""Images had by C-MOVE from the application entity that a manifest names (RAD-16, PS3.4 C.4.2).

They arrive at this node, which has to run, and to be known to the source under its AE title; so
what is asked here is only whether they are in the archive once the source says that it has ended.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from pacs_core.api.streams import closing
from pacs_core.association import AssociationError, Proposal
from pacs_core.contracts import AuditValue, EventAction, InstancePath, Node, Peer
from pacs_core.dataset import Attributes, tag_of
from pacs_core.dimse import StatusCategory, category, describe

from pacs_xds.auditing import study_objects
from pacs_xds.desk import Desk
from pacs_xds.interface import IMAGES_MOVED
from pacs_xds.manifest import Reference

_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"  # Study Root
_LEVEL, _STUDY, _SERIES, _INSTANCE = map(
    tag_of, ("QueryRetrieveLevel", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
)


def find_peer(node: Node, ae_title: str) -> Peer | None:
    """Return the peer with an AE title, or None."""
    peers = node.settings.peers.values()
    return next((each for each in peers if ae_title and each.ae_title == ae_title), None)


async def move_images(
    desk: Desk, peer: Peer, references: Sequence[Reference]
) -> tuple[int, int, list[str]]:
    """Have a peer send instances to this node.

    Returns
    -------
    (int, int, list of str)
        How many have come, and were there before; and what could not be had, and why.
    """
    missing = [each for each in references if not await _is_there(desk, each)]
    known, failures = len(references) - len(missing), []
    ordered = sorted(missing, key=_series)
    for (study, series), group in groupby(ordered, key=_series):
        wanted = list(group)
        problem = await _move(desk, peer, study, series, wanted)
        lost = [each.sop_instance_uid for each in wanted if not await _is_there(desk, each)]
        why = problem or f"{peer.ae_title} has not sent it"
        failures += [f"{uid}: {why}" for uid in lost]
        details: dict[str, AuditValue] = {
            "received": len(wanted) - len(lost),
            "failed": len(lost),
            "peer": peer.ae_title,
        }
        objects = study_objects([study])
        await desk.record(
            IMAGES_MOVED, peer, EventAction.CREATE, details, objects, error=why if lost else ""
        )
    return len(missing) - len(failures), known, failures


def _series(reference: Reference) -> tuple[str, str]:
    return reference.study_instance_uid, reference.series_instance_uid


async def _is_there(desk: Desk, reference: Reference) -> bool:
    path = InstancePath(reference.study_instance_uid, reference.sop_instance_uid)
    return await desk.node.archive.locate(path) is not None


async def _move(
    desk: Desk, peer: Peer, study: str, series: str, wanted: Sequence[Reference]
) -> str:
    """Ask for instances of a series; return what was wrong, if the source says so."""
    keys: Attributes = {
        _LEVEL: ("IMAGE",),
        _STUDY: (study,),
        _SERIES: (series,),
        _INSTANCE: tuple(each.sop_instance_uid for each in wanted),
    }
    problem = ""
    try:
        async with (
            desk.node.connect(peer, [Proposal(_MOVE)]) as association,
            closing(association.c_move(_MOVE, keys, desk.node.settings.ae_title)) as responses,
        ):
            async for response, _ in responses:
                status = response.status or 0
                if category(status) in {StatusCategory.FAILURE, StatusCategory.WARNING}:
                    comment = response.error_comment or ""
                    problem = ": ".join(filter(None, (describe(status), comment)))
    except (AssociationError, OSError) as error:
        problem = str(error)
    return problem and f"{peer.ae_title}: {problem}"
