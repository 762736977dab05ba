"""Damaged objects mended: by a copy in another tier, in a backup, or of another archive.

A tiered store puts its own whole copy in the place of a damaged one. What is fetched from
elsewhere is stored as any newcomer is. The archive sees that what it holds is damaged, serves
the newcomer in its place, and tells the audit trail. Whether that is whole is looked at afterwards.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from anyio import to_thread

from pacs_core.api.files import file_chunks
from pacs_core.contracts import Node, Origin, StoredInstance
from pacs_core.dataset import scan_file
from pacs_lifecycle.archives import find_archive
from pacs_lifecycle.config import ScrubConfig
from pacs_lifecycle.retrieving import RetrievalError

_log = logging.getLogger(__name__)


async def mend(node: Node, config: ScrubConfig, instance: StoredInstance, origin: Origin) -> bool:
    """Take another copy of an instance that is damaged; tell whether it is whole now."""
    for name, fetch in _sources(node, config, origin):
        try:
            await fetch(instance)
            now = await node.archive.locate(instance.identity.path)
            if now is not None and not await node.archive.examine(now, origin):
                _log.warning("instance %s was mended from %s", now.identity, name)
                return True
        except Exception as error:
            _log.warning(
                "instance %s is not mended from %s: %s",
                instance.identity.sop_instance_uid, name, error,
            )  # fmt: skip
    return False


Fetch = Callable[[StoredInstance], Awaitable[None]]


def _sources(node: Node, config: ScrubConfig, origin: Origin) -> Iterator[tuple[str, Fetch]]:
    """Yield who may have another copy, the nearest first."""
    if find_spec("pacs_store_tiered") is not None:

        async def from_tiers(instance: StoredInstance) -> None:
            from pacs_store_tiered.api import mend_from_tiers

            if not await mend_from_tiers(node, instance, origin):
                raise RetrievalError("no other tier has a whole copy of it")

        yield "another tier", from_tiers
    if config.mend_from_backup:
        folder = Path(config.mend_from_backup)

        async def from_backup(instance: StoredInstance) -> None:
            await _take_from_backup(node, folder, instance, origin)

        yield str(folder), from_backup
    for name in config.mend_from:

        async def from_archive(instance: StoredInstance, name: str = name) -> None:
            await find_archive(node, name).fetch_instance(instance)

        yield name, from_archive


async def _take_from_backup(
    node: Node, folder: Path, instance: StoredInstance, origin: Origin
) -> None:
    from pacs_backup.api import find_copy

    path = await to_thread.run_sync(find_copy, folder, instance.key)
    if path is None:
        raise RetrievalError("no backup has a whole copy of it")
    meta = (await to_thread.run_sync(scan_file, path, frozenset[int]())).meta

    await node.archive.ingest(
        file_chunks(path, meta.dataset_offset),
        transfer_syntax_uid=meta.transfer_syntax_uid,
        sop_class_uid=instance.identity.sop_class_uid,
        sop_instance_uid=instance.identity.sop_instance_uid,
        origin=origin,
    )
