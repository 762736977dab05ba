"""Acts of pages and API on the archive: delete a study, send it, ask a peer for an answer."""

import hmac
from collections.abc import AsyncIterator

from attrs import frozen
from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_core.association import AssociationError, Proposal
from pacs_core.contracts import (
    Archive,
    Level,
    Node,
    Origin,
    Peer,
    Query,
    SingleValue,
)
from pacs_core.dataset import tag_of

_STUDY = tag_of("StudyInstanceUID")
_VERIFICATION = "1.2.840.10008.1.1"


@frozen
class SendProgress:
    """How far sending has come; `failure` is why the last instance did not arrive."""

    sent: int
    failed: int
    failure: str = ""


@frozen
class EchoAnswer:
    """Whether a peer answered a C-ECHO, and what was in the way."""

    answered: bool
    reason: str = ""


def check_token(request: Request, cookie: str, given: str) -> None:
    """Refuse a form that none of our pages has made.

    Raises
    ------
    HttpError
        403
    """
    expected = request.cookies.get(cookie, "")
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        raise HttpError(403, "this form is not from a page of this server: load the page again")


def find_peer(node: Node, name: str) -> Peer:
    """Return a configured peer by the name of its table.

    Raises
    ------
    HttpError
        404
    """
    if name not in node.settings.peers:
        raise HttpError(404, "there is no such peer: name it in [peers.NAME]")
    return node.settings.peers[name]


async def delete_study(archive: Archive, study: str, origin: Origin) -> None:
    """Delete all instances of a study that `origin` may see.

    Raises
    ------
    InstanceNotFoundError
        There are none.
    DeletionError
        Some are still there.
    """
    query = Query(Level.IMAGE, (SingleValue(_STUDY, study),))
    report = await archive.delete_all(query, origin)
    report.raise_unless_deleted(f"study {study}")


async def send_study(
    node: Node, archive: Archive, study: str, peer: Peer
) -> AsyncIterator[SendProgress]:
    """Send a study to a peer, and tell after each instance how far that is.

    Whoever closes the generator stops it: the response that is outstanding is waited for.
    """
    instances = archive.instances(Query(Level.IMAGE, (SingleValue(_STUDY, study),)))
    sent = failed = 0
    async with node.sender.send(instances, peer, archive=archive) as sending:
        async for each in sending:
            sent, failed = sent + each.arrived, failed + (not each.arrived)
            yield SendProgress(sent, failed, "" if each.arrived else each.reason)


async def echo(node: Node, peer: Peer) -> EchoAnswer:
    """Ask a peer whether it is there (C-ECHO, PS3.4 Annex A)."""
    try:
        async with node.connect(peer, [Proposal(_VERIFICATION)]) as association:
            response = await association.c_echo()
    except (AssociationError, OSError) as error:
        return EchoAnswer(False, str(error))
    status = response.status
    return EchoAnswer(status == 0x0000, "" if status == 0x0000 else f"status {status or 0:04X}H")
