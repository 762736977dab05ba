"""A plugin that adds a word to the beacon's, and works without the beacon."""

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl


@hookimpl(optionalhook=True)
def beacon_words(setup: Setup) -> str:
    """Return a word."""
    return f"hello-from-{setup.plugin.name}"
