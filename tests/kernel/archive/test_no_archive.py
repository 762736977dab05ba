"""The archive of a node that has none."""

import pytest

from pacs_core.archive import NoArchive
from pacs_core.contracts import InstancePath, Level, Query

pytestmark = pytest.mark.anyio


async def test_says_what_to_install(origin):
    archive = NoArchive()
    with pytest.raises(LookupError, match="pacs-store-filesystem pacs-index-sqlite"):
        await archive.ingest(
            None, transfer_syntax_uid="", sop_class_uid="", sop_instance_uid="", origin=origin
        )
    for call in (
        lambda: archive.search(Query(Level.STUDY)),
        lambda: archive.instances(Query(Level.STUDY)),
        lambda: archive.searchable_tags(Level.STUDY),
    ):
        with pytest.raises(LookupError, match="no archive"):
            call()
    for coroutine in (
        archive.locate(InstancePath("1.2.3", "1")),
        archive.open(None),
        archive.delete(InstancePath("1.2.3", "1"), origin),
    ):
        with pytest.raises(LookupError, match="no archive"):
            await coroutine
