"""Counts what pacs-core stores by modality, and prints the counts."""

from collections.abc import Callable

from pacs_core.contracts import CliCommandDescriptor, EventHandlerDescriptor, Setup
from pacs_core.plugins import hookimpl

from modality_count.config import Config
from modality_count.counts import Counts
from modality_count.handler import ModalityCounter

__all__ = [
    "Config",
    "Counts",
    "ModalityCounter",
    "pacs_cli_commands",
    "pacs_config",
    "pacs_event_handlers",
]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_event_handlers(setup: Setup) -> list[EventHandlerDescriptor]:
    """Return the handler that counts."""
    config = setup.config(Config)
    counts = Counts(setup.settings.data_directory)
    return [EventHandlerDescriptor("modality-count", lambda node: ModalityCounter(counts, config))]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the command that prints."""
    return [
        CliCommandDescriptor("modality-count", "Print how much is stored of each modality.", _load)
    ]


def _load() -> Callable[..., int | None]:
    from modality_count.command import modality_count

    return modality_count
