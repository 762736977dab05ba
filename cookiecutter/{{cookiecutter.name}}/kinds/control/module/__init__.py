"""An operation on a running node of pacs-core: who has stored how much since it runs."""

from collections.abc import Callable

from pacs_core.contracts import (
    CapabilityDescriptor,
    CliCommandDescriptor,
    ControlDescriptor,
    EventHandlerDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl

from {{ cookiecutter.__package }}.config import Config
from {{ cookiecutter.__package }}.operation import SENDERS
from {{ cookiecutter.__package }}.senders import Senders, SendersHandler, StoredEvents

__all__ = ["SENDERS", "Config", "pacs_cli_commands", "pacs_config", "pacs_control"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""

NAME = "{{ cookiecutter.name }}"


@hookimpl
def pacs_config() -> type:
    """Return the class of the plugin's table."""
    return Config


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return what counts, which the other parts share."""
    config = setup.config(Config)
    return [CapabilityDescriptor(NAME, Senders, lambda node: Senders(config.most))]


@hookimpl
def pacs_event_handlers(setup: Setup) -> list[EventHandlerDescriptor]:
    """Return what hears of stored instances."""
    return [EventHandlerDescriptor(NAME, StoredEvents, requires=(Senders,))]


@hookimpl
def pacs_control(setup: Setup) -> list[ControlDescriptor]:
    """Return the operation."""
    summary = "Say who has stored how much."
    return [ControlDescriptor(SENDERS, SendersHandler, summary, requires=(Senders,))]


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the command that asks for it."""
    return [CliCommandDescriptor(NAME, "Show who has stored how much.", _load)]


def _load() -> Callable[..., int | None]:
    from {{ cookiecutter.__package }}.command import senders

    return senders
