"""The command: its signature and docstring are the command line."""

from collections import Counter

import anyio
from pacs_core.api.commands import Assembly, ConfigOption, assemble_for_command, open_archive
from pacs_core.contracts import Archive, Level, Query
from pacs_core.dataset import tag_of, texts

from {{ cookiecutter.__package }}.config import Config


def modalities(*, config: ConfigOption = None) -> None:
    """Print how many series the archive holds of each modality."""
    assembly = assemble_for_command(config)
    found = anyio.run(_counted, assembly)
    own = assembly.setup_for("{{ cookiecutter.name }}").config(Config)
    for modality, count in _ordered(found, own):
        print(f"{modality:<8}{count:>8}")


async def _counted(assembly: Assembly) -> Counter[str]:
    async with open_archive(assembly) as opened:
        return await count_series(opened.archive)


async def count_series(archive: Archive) -> Counter[str]:
    """Return the number of series by modality, in the memory of one result at a time."""
    modality = tag_of("Modality")
    query = Query(Level.SERIES, returning=frozenset({modality}))
    counts: Counter[str] = Counter()
    async for series in archive.search(query):
        counts["".join(texts(series, modality)) or "(none)"] += 1
    return counts


def _ordered(counts: Counter[str], config: Config) -> list[tuple[str, int]]:
    return counts.most_common() if config.order == "count" else sorted(counts.items())
