"""``pacs echo``."""

from time import perf_counter
from typing import Annotated

from pacs_core.association import Association, AssociationError, Proposal
from pacs_core.cli.errors import FAILURE
from pacs_core.cli.option import Option
from pacs_core.cli.options import CLIENT, ClientOptions
from pacs_core.cli.output import complain, say
from pacs_core.cli.running import run_async
from pacs_core.cli.session import Session, describe_response, open_session
from pacs_core.dimse import Status

VERIFICATION = "1.2.840.10008.1.1"


def echo(
    peer: str,
    /,
    *,
    count: Annotated[int, Option("--count", "-n")] = 1,
    options: ClientOptions = CLIENT,
) -> int:
    """Verify that a peer answers (C-ECHO, PS3.4 Annex A).

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    count
        How many times, on one association.
    """
    return run_async(_echo, open_session(peer, options), count)


async def _echo(session: Session, count: int) -> int:
    try:
        async with session.associate([Proposal(VERIFICATION)]) as association:
            failures = [await _echo_once(session, association) for _ in range(count)]
    except AssociationError as error:
        raise session.failure(error) from error
    return FAILURE if any(failures) else 0


async def _echo_once(session: Session, association: Association) -> bool:
    start = perf_counter()
    response = await association.c_echo()
    if response.status != Status.SUCCESS:
        complain(f"{session.peer}: {describe_response(response)}")
        return True
    say(f"{session.peer} answered in {1000 * (perf_counter() - start):.1f} ms")
    return False
