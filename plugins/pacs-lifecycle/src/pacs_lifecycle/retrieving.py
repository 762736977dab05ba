"""Instances fetched from other archives, by C-GET or C-MOVE (PS3.4 C.4.2, C.4.3)."""

import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Final

from pacs_core.contracts import (
    IngestError,
    Node,
    Operation,
    Origin,
    Peer,
    Proposal,
    RequestedAssociation,
    StoredInstance,
)
from pacs_core.dataset import Attributes, tag_of
from pacs_core.dimse import Status, StatusCategory, category, describe

GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
"""Study Root Query/Retrieve Information Model - GET (PS3.4 C.6.2)."""
FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve Information Model - FIND."""
MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
"""Study Root Query/Retrieve Information Model - MOVE."""

_LEVEL: Final = tag_of("QueryRetrieveLevel")
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_INSTANCE: Final = tag_of("SOPInstanceUID")

MOST: Final = 50_000
"""Matches of a query that are held."""

_log = logging.getLogger(__name__)


class RetrievalError(OSError):
    """A peer did not hand out all that it was asked for."""


def find_peer(node: Node, name: str) -> Peer:
    """Return a peer by the name of its table.

    Raises
    ------
    LookupError
        There is none with an AE title.
    """
    if (peer := node.settings.peers.get(name)) is None:
        raise LookupError(f"there is no peer {name} with an AE title")
    return peer


async def fetch_instance(node: Node, peer: Peer, instance: StoredInstance) -> None:
    """Fetch an instance as it is stored here, by C-GET, and store it.

    Raises
    ------
    RetrievalError
        The peer does not hand it out.
    AssociationError
    """
    identity = instance.identity
    keys = {
        _LEVEL: ("IMAGE",),
        _STUDY: (identity.study_instance_uid,),
        _SERIES: (identity.series_instance_uid,),
        _INSTANCE: (identity.sop_instance_uid,),
    }
    contexts = [(identity.sop_class_uid, (instance.transfer_syntax_uid,))]
    await get(node, peer, keys, contexts)


async def get(
    node: Node,
    peer: Peer,
    keys: Attributes,
    contexts: Sequence[tuple[str, tuple[str, ...]]],
) -> None:
    """Retrieve what unique keys name, by C-GET, and store it here.

    Raises
    ------
    RetrievalError
        The peer fails it, or some of it, or this archive does not take it.
    """
    proposals = [Proposal(GET)]
    proposals += [Proposal(uid, syntaxes, scu=False, scp=True) for uid, syntaxes in contexts]
    origin = Origin("DIMSE", peer.ae_title, node.settings.ae_title, peer.host, peer.port)
    problems: list[str] = []

    async def receive(operation: Operation) -> int:
        command = operation.command
        try:
            await node.archive.ingest(
                operation.dataset,
                transfer_syntax_uid=operation.context.transfer_syntax,
                sop_class_uid=command.affected_sop_class_uid or "",
                sop_instance_uid=command.affected_sop_instance_uid or "",
                origin=origin,
            )
        except IngestError as error:
            problems.append(str(error))
            return Status.PROCESSING_FAILURE
        return Status.SUCCESS

    async with (
        node.connect(peer, proposals) as association,
        aclosing(association.c_get(GET, keys, receive)) as responses,
    ):
        async for response, _ in responses:
            _judge(peer, response.status or 0, response.number_of_failed_suboperations, problems)


async def move(node: Node, peer: Peer, keys: Attributes) -> None:
    """Let a peer send what unique keys name to this node, by C-MOVE.

    Raises
    ------
    RetrievalError
        The peer fails it, or some of it.
    """
    async with (
        node.connect(peer, [Proposal(MOVE)]) as association,
        aclosing(association.c_move(MOVE, keys, node.settings.ae_title)) as responses,
    ):
        async for response, _ in responses:
            _judge(peer, response.status or 0, response.number_of_failed_suboperations, ())


def finding(node: Node, peer: Peer) -> AbstractAsyncContextManager[RequestedAssociation]:
    """Associate with a peer that is to be asked what it has."""
    return node.connect(peer, [Proposal(FIND)])


async def find(association: RequestedAssociation, keys: Attributes) -> list[Attributes]:
    """Return what a peer finds (PS3.4 C.4.1), in the Study Root model.

    Raises
    ------
    RetrievalError
        The peer fails it, or finds more than can be looked at.
    """
    found: list[Attributes] = []
    async with aclosing(association.c_find(FIND, keys)) as responses:
        async for response, match in responses:
            if category(response.status or 0) is StatusCategory.FAILURE:
                raise RetrievalError(f"the query is answered {describe(response.status or 0)}")
            if len(found) == MOST:
                raise RetrievalError(f"more than {MOST} matches are found")
            if match is not None:
                found.append(match)
    return found


def _judge(peer: Peer, status: int, failed: int | None, problems: Sequence[str]) -> None:
    if category(status) is StatusCategory.PENDING:
        return
    if problems:
        raise RetrievalError(f"what {peer} sends is not taken: {problems[0]}")
    if category(status) is not StatusCategory.SUCCESS or failed:
        raise RetrievalError(f"{peer} answers {describe(status)}, {failed or 0} failed")
