"""The command: it asks every process of the node, and adds up."""

from collections import Counter
from pathlib import Path

import anyio
from pacs_core.api.control import connect_to_node

from {{ cookiecutter.__package }}.operation import SENDERS, Request


def senders(ae_title: str = "", *, config: Path | None = None) -> None:
    """Print how many instances each sender has stored since the node runs.

    Parameters
    ----------
    ae_title
        Of one sender.
    config
        Config file; else $PACS_CONFIG, else pacs.toml if there is one.
    """
    for title, instances in anyio.run(_ask, ae_title, config).most_common():
        print(f"{title:<16}{instances:>8}")


async def _ask(ae_title: str, config: Path | None) -> Counter[str]:
    found: Counter[str] = Counter()
    async with connect_to_node(config) as node:
        async for response in node.call(SENDERS, Request(ae_title)):
            found[response.value.ae_title] += response.value.instances
    return found
