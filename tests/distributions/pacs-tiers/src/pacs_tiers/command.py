"""``pacs tiers cool``."""

from pathlib import Path

import anyio

from pacs_core.api.commands import assemble, load_config, open_archive
from pacs_core.contracts import Level, Query, SingleValue
from pacs_core.dataset import tag_of
from pacs_tiers.store import TieredStore

_STUDY = tag_of("StudyInstanceUID")


def cool(study: str, *, config: Path | None = None) -> None:
    """Move the objects of a study to the cold store.

    Parameters
    ----------
    study
        Study Instance UID.
    config
        Config file.
    """
    print(f"{anyio.run(_cool, study, config)} objects are NEARLINE")


async def _cool(study: str, config: Path | None) -> int:
    async with open_archive(assemble(load_config(config))) as opened:
        (store,) = [each for each in opened.node.stores.values() if isinstance(each, TieredStore)]
        query = Query(Level.STUDY, (SingleValue(_STUDY, study),))
        return sum([await store.cool(each.key) async for each in opened.archive.instances(query)])
