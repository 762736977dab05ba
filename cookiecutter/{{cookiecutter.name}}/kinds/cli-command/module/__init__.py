"""A command of pacs-core: how many series there are of each modality."""

from collections.abc import Callable

from pacs_core.contracts import CliCommandDescriptor
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config

__all__ = ["Config", "pacs_cli_commands", "pacs_config"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the command."""
    summary = "Count series by modality."
    return [CliCommandDescriptor("{{ cookiecutter.name }}", summary, _load)]


def _load() -> Callable[..., int | None]:
    from {{ cookiecutter.__package }}.command import modalities

    return modalities
