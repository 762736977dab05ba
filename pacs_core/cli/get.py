"""``pacs get``."""

from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pacs_core.association import AssociationError, Proposal
from pacs_core.cli.errors import FAILURE
from pacs_core.cli.keys import Level, Root, at_level
from pacs_core.cli.models import Model, model_for
from pacs_core.cli.options import CLIENT, ClientOptions, Keys
from pacs_core.cli.progress import progress
from pacs_core.cli.receiving import Receiving
from pacs_core.cli.retrieve import SubOperations, retrieve_keys
from pacs_core.cli.running import run_async
from pacs_core.cli.session import Session, open_session
from pacs_core.cli.sop_classes import storage_classes, storage_proposals
from pacs_core.dataset import Attributes


def get(
    peer: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    key: Keys = None,
    level: Level | None = None,
    root: Root | None = None,
    options: ClientOptions = CLIENT,
) -> int:
    """Retrieve instances from a peer into a folder (C-GET, PS3.4 C.4.3).

    They become OUTPUT/STUDY/SERIES/INSTANCE.dcm, datasets byte for byte as received.

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
    """
    level, keys = retrieve_keys(key, level)
    session = open_session(peer, options)
    return run_async(_get, session, model_for(root, level), level, keys, output)


async def _get(session: Session, model: Model, level: Level, keys: Attributes, output: Path) -> int:
    receiving = Receiving(output, keys)
    with progress("getting", None) as advance:
        operations = SubOperations(advance)
        try:
            classes = await storage_classes(session, model, level, keys)
            proposals = [Proposal(model.get), *storage_proposals(classes)]
            async with (
                session.associate(proposals) as association,
                aclosing(
                    association.c_get(model.get, at_level(level, keys), receiving.receive)
                ) as responses,
            ):
                async for response, _ in responses:
                    operations.note(response)
        except AssociationError as error:
            raise session.failure(error) from error
    code = operations.summarize(session, "received", receiving.received)
    return FAILURE if receiving.failed else code
