"""A node in a thread answers a C-ECHO of our own requestor."""

import pytest

from pacs_core import connect
from pacs_core.association import Proposal

pytestmark = pytest.mark.anyio


async def test_echo(pacs_node):
    node = pacs_node()
    async with connect(node.peer, [Proposal("1.2.840.10008.1.1")]) as association:
        assert (await association.c_echo()).status == 0x0000
