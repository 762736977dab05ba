"""Instances to a node and from it again, as a peer stores and retrieves them."""

from collections.abc import Callable, Mapping
from typing import Final

from pacs_core.association import PeerOperation, Proposal, connect
from pacs_core.contracts import Peer
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, tag_of
from pacs_core.dimse import Command

STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
_LEVELS: Final = (
    ("IMAGE", "SOPInstanceUID"),
    ("SERIES", "SeriesInstanceUID"),
    ("STUDY", "StudyInstanceUID"),
)


async def store_dataset(
    peer: Peer,
    sop_class_uid: str,
    sop_instance_uid: str,
    data: bytes,
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> Command:
    """Store an encoded dataset, on an association of its own; return the response.

    Raises
    ------
    AssociationError
        The peer does not take it, or has gone.
    """
    proposal = Proposal(sop_class_uid, (transfer_syntax_uid,))
    async with connect(peer, [proposal]) as association:
        return await association.c_store(sop_class_uid, sop_instance_uid, data)


async def retrieve(
    peer: Peer,
    keys: Mapping[str, str],
    sop_class_uid: str,
    take: Callable[[str, bytes | memoryview], None],
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> Command:
    """Retrieve by C-GET in the Study Root model (PS3.4 C.4.3); return the final response.

    Parameters
    ----------
    peer : Peer
    keys : mapping of str to str
        UIDs by keyword, down to the level that is retrieved: ``{"StudyInstanceUID": "1.2.3"}``.
    sop_class_uid : str
        Of the instances, which are taken in one transfer syntax only.
    take : callable
        Given SOP Instance UID and bytes of the dataset, bit by bit as they come.
    transfer_syntax_uid : str

    Raises
    ------
    AssociationError
        The peer does not support it, or has gone.
    """

    async def receive(operation: PeerOperation) -> int:
        uid = operation.command.affected_sop_instance_uid or ""
        async for chunk in operation.dataset:
            take(uid, chunk)
        return 0x0000

    level = next(name for name, keyword in _LEVELS if keyword in keys)
    identifier = {tag_of("QueryRetrieveLevel"): (level,)}
    identifier |= {tag_of(keyword): (uid,) for keyword, uid in keys.items()}
    proposals = [
        Proposal(STUDY_ROOT_GET, (EXPLICIT_VR_LITTLE_ENDIAN,)),
        Proposal(sop_class_uid, (transfer_syntax_uid,), scu=False, scp=True),
    ]
    async with connect(peer, proposals) as association:
        get = association.c_get(STUDY_ROOT_GET, identifier, receive)
        responses = [response async for response, _ in get]
    return responses[-1]
