"""Which archives have a journal."""

import pytest
from importlib_metadata import EntryPoint

from pacs_core.testing.node import node_thread


@pytest.mark.parametrize(
    ("archive", "wanted", "said"),
    [
        ({}, True, ""),
        ({"journal": False}, False, ""),
        ({"durability": "none"}, False, ""),
        ({"durability": "write-behind"}, False, ""),
        ({"durability": "write-behind", "journal": True}, False, "durability is write-behind"),
        ({"store": "memory"}, False, ""),
        ({"store": "memory", "journal": True}, True, ""),
        ({"index": "memory"}, False, ""),
        ({"index": "memory", "journal": True}, False, "the index is not on a local disk"),
    ],
)
def test_there_is_one_where_store_and_index_gain_by_it(tmp_path, caplog, archive, wanted, said):
    """Not with a store that is durable by itself, or encrypts, unless it is asked for."""
    memory = EntryPoint("memory-archive", "pacs_memory_archive", "pacs_core.plugins")
    chosen = {"store": "filesystem", "index": "sqlite", "space": {"reserve": 0}, **archive}
    plugins = ["index-sqlite", "store-filesystem", memory]
    with node_thread(tmp_path, {"archive": chosen}, plugins=plugins) as node:
        queues = [queue.name for queue in node.node.opened.archive.queues]
        made = bool(list(tmp_path.glob("journal-0/segment-*")))
    assert ("journal" in queues) == wanted
    assert [r.message for r in caplog.records if "there is no journal" in r.message] == (
        [f"there is no journal, since {said}"] if said else []
    )
    assert made == ("journal" in archive and wanted), "none before it is needed"
