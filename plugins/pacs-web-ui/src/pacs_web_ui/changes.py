"""Acts of pages and API: delete a study, ask a peer for an answer."""

import hmac

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


async def find_holds(archive: Archive, study: str, origin: Origin) -> list[str]:
    """Return why a study cannot be deleted, without doubles; nothing if it can be."""
    held = await archive.holds(_instances_of(study), origin)
    return sorted(set(held.values()))


async def delete_study(archive: Archive, study: str, origin: Origin) -> None:
    """Delete all instances of a study that `origin` may see.

    Raises
    ------
    InstanceNotFoundError
        There are none.
    DeletionError
        Some are still there.
    """
    report = await archive.delete_all(_instances_of(study), origin)
    report.raise_unless_deleted(f"study {study}")


def _instances_of(study: str) -> Query:
    return Query(Level.IMAGE, (SingleValue(_STUDY, study),))


async def echo(node: Node, peer: Peer) -> EchoAnswer:
    """Ask a peer whether it is there (C-ECHO, PS3.4 Annex A)."""
    try:
        async with node.connect(peer, [Proposal(_VERIFICATION)]) as association:
            response = await association.c_echo()
    except (AssociationError, OSError) as error:
        return EchoAnswer(False, str(error))
    status = response.status
    return EchoAnswer(status == 0x0000, "" if status == 0x0000 else f"status {status or 0:04X}H")
