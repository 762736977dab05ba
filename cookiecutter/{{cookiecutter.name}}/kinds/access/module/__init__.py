"""Access rules of pacs-core: who may do what, by AE title, with which modalities."""

from pacs_core.contracts import AccessDescriptor, Setup
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config, Rule
from {{ cookiecutter.__package }}.identity import CallingTitles
from {{ cookiecutter.__package }}.rules import Rules

__all__ = ["CallingTitles", "Config", "Rule", "Rules", "pacs_access", "pacs_config"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""

NAME = "{{ cookiecutter.name }}"


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_access(setup: Setup) -> list[AccessDescriptor]:
    """Return who tells peers apart, and who judges what they want."""
    config = setup.config(Config)
    return [
        AccessDescriptor(
            NAME,
            authenticator=lambda node: CallingTitles(config),
            authorizer=lambda node: Rules(node, config),
        )
    ]
