"""The hook that this plugin publishes."""

from pacs_core.contracts import Setup
from pacs_core.plugins import hookspec


@hookspec
def beacon_words(setup: Setup) -> str:
    """Return a word to send to everyone who connects."""
    raise NotImplementedError
