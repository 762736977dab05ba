"""A requestor that does not wait long, and what a peer answers to its A-ASSOCIATE-RQ."""

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Peer, Timeouts
from pacs_core.dimse import Command
from pacs_core.upper_layer import ContextResult

SHORT = Timeouts(artim=0.4, dimse=0.4, write=0.4, connect=2.0)
VERIFICATION = "1.2.840.10008.1.1"
ECHO = [Proposal(VERIFICATION, ("1.2.840.10008.1.2",))]
ACCEPTED = ContextResult(1, 0, "1.2.840.10008.1.2")


async def echo(peer: Peer, **options) -> Command:
    async with connect(peer, ECHO, timeouts=SHORT, **options) as association:
        return await association.c_echo()
