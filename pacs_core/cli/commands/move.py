"""``pacs move``."""

from contextlib import aclosing

from pacs_core.association import AssociationError, Proposal
from pacs_core.cli.errors import UsageError
from pacs_core.cli.keys import Level, Root, at_level, hint_above
from pacs_core.cli.models import model_for
from pacs_core.cli.options import CLIENT, ClientOptions, Keys
from pacs_core.cli.progress import progress
from pacs_core.cli.retrieve import SubOperations, retrieve_keys
from pacs_core.cli.running import run_async
from pacs_core.cli.session import Session, open_session
from pacs_core.contracts import check_ae_title
from pacs_core.dataset import Attributes


def move(
    peer: str,
    /,
    *,
    to: str,
    key: Keys = None,
    level: Level | None = None,
    root: Root | None = None,
    options: ClientOptions = CLIENT,
) -> int:
    """Let a peer send instances to an AE title (C-MOVE, PS3.4 C.4.2).

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    to
        AE title to send to; the peer has to know its address.
    level
        What the keys name; the deepest of them unless given.
    root
        Information model; study unless a patient is retrieved.
    """
    try:
        check_ae_title(to)
    except ValueError as error:
        raise UsageError(f"--to: {error}") from error
    level, keys = retrieve_keys(key, level)
    session, hint = open_session(peer, options), hint_above(level, root, keys)
    return run_async(_move, session, model_for(root, level).move, at_level(level, keys), to, hint)


async def _move(
    session: Session, sop_class: str, identifier: Attributes, to: str, hint: str
) -> int:
    with progress("moving", None) as advance:
        operations = SubOperations(advance)
        try:
            async with (
                session.associate([Proposal(sop_class)]) as association,
                aclosing(association.c_move(sop_class, identifier, to)) as responses,
            ):
                async for response, _ in responses:
                    operations.note(response)
        except AssociationError as error:
            raise session.failure(error) from error
    return operations.summarize(session, "moved", hint=hint)
