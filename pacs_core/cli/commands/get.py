"""``pacs get``."""

from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from pacs_core.association import AssociationError, AssociationOptions, Proposal
from pacs_core.cli.errors import FAILURE, UsageError
from pacs_core.cli.holdings import Retrieval, plan_retrievals
from pacs_core.cli.keys import Level, Root, hint_above
from pacs_core.cli.models import ModelUids, model_for
from pacs_core.cli.option import Option
from pacs_core.cli.options import CLIENT, ClientOptions, Keys
from pacs_core.cli.output import complain
from pacs_core.cli.progress import progress
from pacs_core.cli.receiving import InstanceReceiver
from pacs_core.cli.retrieve import SubOperations, retrieve_keys
from pacs_core.cli.running import run_async
from pacs_core.cli.session import Session, open_session
from pacs_core.cli.sop_classes import storage_proposals
from pacs_core.dataset import Attributes
from pacs_core.upper_layer import AsynchronousOperations


def get(
    peer: str,
    /,
    *,
    output: Annotated[Path, Option("--output", "-o")],
    key: Keys = None,
    level: Level | None = None,
    root: Root | None = None,
    window: int = 8,
    options: ClientOptions = CLIENT,
) -> int:
    """Retrieve instances from a peer into a folder (C-GET, PS3.4 C.4.3).

    They become OUTPUT/STUDY/SERIES/INSTANCE.dcm, datasets byte for byte as received. Links in
    the folder are not followed. The peer is asked first which SOP classes there are; if all their
    transfer syntaxes do not fit into one association, there are several, so that it need not
    convert anything.

    Parameters
    ----------
    peer
        AET@HOST:PORT, or the name of a configured peer.
    output
        Folder to write to; made if it is not there.
    level
        What the keys name; the deepest of them unless given.
    root
        Information model; study unless a patient is retrieved.
    window
        Instances that may be on their way at once, if the peer agrees.
    """
    if window < 1:
        raise UsageError("--window is 1 or more")
    level, keys = retrieve_keys(key, level)
    session, hint = open_session(peer, options), hint_above(level, root, keys)
    return run_async(_get, session, model_for(root, level), level, keys, output, hint, window)


async def _get(
    session: Session,
    model: ModelUids,
    level: Level,
    keys: Attributes,
    output: Path,
    hint: str,
    window: int,
) -> int:
    receiver = InstanceReceiver(output, keys)
    with progress("getting", None) as advance:
        operations = SubOperations(advance)
        try:
            retrievals = await plan_retrievals(session, model, level, keys)
            for retrieval in retrievals:
                await _retrieve(session, model.get, retrieval, receiver, operations, window)
        except AssociationError as error:
            raise session.failure(error) from error
    if receiver.received and not all(retrieval.is_exact for retrieval in retrievals):
        complain(
            f"{session.peer} does not say which SOP classes there are, so not every transfer "
            "syntax could be proposed for each: it may have converted what it holds compressed"
        )
    code = operations.summarize(session, "received", receiver.received, hint)
    return FAILURE if receiver.failed else code


async def _retrieve(
    session: Session,
    sop_class: str,
    retrieval: Retrieval,
    receiver: InstanceReceiver,
    operations: SubOperations,
    window: int,
) -> None:
    proposals = [Proposal(sop_class), *storage_proposals(retrieval.sop_classes)]
    several = AsynchronousOperations(1, window) if window > 1 else None
    options = AssociationOptions(operations=several)
    async with session.associate(proposals, options) as association:
        for identifier in retrieval.identifiers:
            responses = association.c_get(sop_class, identifier, receiver.receive)
            async with aclosing(responses):
                async for response, _ in responses:
                    operations.note(response)
