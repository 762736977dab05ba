"""A tally of what the node stores, shown and watched by commands."""

from collections.abc import Callable

from pacs_core.contracts import (
    CapabilityDescriptor,
    CliCommandDescriptor,
    ControlDescriptor,
    EventHandlerDescriptor,
    Setup,
)
from pacs_core.plugins import hookimpl
from pacs_tally.operations import BREAK, LOCATE, SHOW, WATCH
from pacs_tally.tally import Breaker, Locator, Shower, Tally, TallyEvents, Watcher


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the tally, which its other parts share."""
    return [CapabilityDescriptor("tally", Tally, lambda node: Tally())]


@hookimpl
def pacs_event_handlers(setup: Setup) -> list[EventHandlerDescriptor]:
    """Return what counts."""
    return [EventHandlerDescriptor("tally", TallyEvents, requires=(Tally,))]


@hookimpl
def pacs_control(setup: Setup) -> list[ControlDescriptor]:
    """Return what the commands ask for."""
    return [
        ControlDescriptor(SHOW, Shower, "Say how many were stored.", requires=(Tally,)),
        ControlDescriptor(WATCH, Watcher, "Name what is stored as it comes.", requires=(Tally,)),
        ControlDescriptor(LOCATE, Locator, "Say where an instance lies."),
        ControlDescriptor(BREAK, lambda node: Breaker(), "Fail."),
    ]


def _load(name: str) -> Callable[[], Callable[..., int | None]]:
    def load() -> Callable[..., int | None]:
        from pacs_tally import commands

        command: Callable[..., int | None] = getattr(commands, name)
        return command

    return load


@hookimpl
def pacs_cli_commands() -> list[CliCommandDescriptor]:
    """Return the commands."""
    return [
        CliCommandDescriptor("tally show", "Show how many instances were stored.", _load("show")),
        CliCommandDescriptor("tally watch", "Name instances as they are stored.", _load("watch")),
        CliCommandDescriptor("tally locate", "Say where an instance lies.", _load("locate")),
        CliCommandDescriptor("tally break", "Let the operation fail.", _load("break_it")),
    ]
