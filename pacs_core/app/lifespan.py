"""Starts components in order, stops them in reverse, and keeps the failures of each apart."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
from attrs import frozen

from pacs_core.contracts import Component
from pacs_core.plugins import Fault, PluginManager, PluginRecord, PluginState

# Theory of operation
#
# Components of plugins are started one after the other and stopped in reverse, each within a time
# limit, and what one raises concerns only itself: a start that fails is a StartError with the name
# of the component, a stop that fails is logged, and the others are stopped all the same. Stopping
# is shielded from cancellation, since it is what must happen when a node is cancelled.
#
# A component that failed to start is stopped, too. It may have opened something before it failed,
# and contracts say that `stop` works then.

ComponentT = TypeVar("ComponentT", bound=Component)

logger = logging.getLogger(__name__)


class StartError(Exception):
    """A component did not start."""


@frozen(eq=False)
class RunningComponent:
    """A component that has started.

    Attributes
    ----------
    name : str
        For messages.
    component : Component
    plugin : str
        Name of the plugin that it is a part of.
    store : str
        Of an object store, the name of its table, if it has one.
    """

    name: str
    component: Component
    plugin: str = ""
    store: str = ""


@asynccontextmanager
async def open_lifespan(
    timeout: float, everything: list[RunningComponent] | None = None
) -> AsyncIterator["Lifespan"]:
    """Stop, after an ``async with`` block, the components that were started in it."""
    lifespan = Lifespan(timeout, everything)
    try:
        yield lifespan
    finally:
        await lifespan.stop_all()


@asynccontextmanager
async def running(
    start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Call `start` before an ``async with`` block and `stop`, shielded, after it."""
    await start()
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await stop()


class Lifespan:
    """The components that run, in the order in which they were started.

    Parameters
    ----------
    timeout : float
        Seconds that a component has to start, and to stop.
    everything : list of RunningComponent, optional
        What runs in this and other lifespans, to be kept up to date.
    """

    def __init__(self, timeout: float, everything: list[RunningComponent] | None = None) -> None:
        self._timeout = timeout
        self._running: list[RunningComponent] = []
        self._everything = [] if everything is None else everything

    async def start(
        self, name: str, create: Callable[[], ComponentT], plugin: str = "", store: str = ""
    ) -> ComponentT:
        """Create a component of a plugin, and start it.

        Raises
        ------
        StartError
            It raised, or took too long. It was stopped again.
        """
        component = _create(name, create)
        running = RunningComponent(name, component, plugin, store)
        self._running.append(running)
        try:
            with anyio.move_on_after(self._timeout) as scope:
                await component.start()
        except (Exception, SystemExit) as error:
            await self._stop_last()
            raise StartError(f"{name} did not start: {_summary(error)}") from error
        if scope.cancelled_caught:
            await self._stop_last()
            raise StartError(f"{name} did not start within {self._timeout:g} s")
        self._everything.append(running)
        return component

    async def stop_all(self) -> None:
        """Stop everything, last started first; never raises."""
        with anyio.CancelScope(shield=True):
            while self._running:
                await self._stop_last()

    async def _stop_last(self) -> None:
        last = self._running.pop()
        if last in self._everything:
            self._everything.remove(last)
        try:
            with anyio.move_on_after(self._timeout) as scope:
                await last.component.stop()
        except (Exception, SystemExit):
            logger.exception("%s failed to stop", last.name)
        else:
            if scope.cancelled_caught:
                logger.error("%s did not stop within %g s", last.name, self._timeout)


async def start_optional(
    manager: PluginManager,
    lifespan: Lifespan,
    record: PluginRecord,
    name: str,
    create: Callable[[], Component],
) -> Any:
    """Start a component that the node can do without; quarantine its plugin if it fails.

    Returns
    -------
    Component or None
        None if it does not run, or if its plugin was quarantined before.

    Raises
    ------
    PluginError
        The node was configured not to do without it.
    """
    if record.state is not PluginState.LOADED:
        return None
    try:
        return await lifespan.start(f"{name} ({record.source})", create, record.name)
    except StartError as error:
        manager.quarantine(record, Fault.START, str(error), error.__cause__)
        manager.check_required()
        return None


async def start_guard(
    lifespan: Lifespan, record: PluginRecord, name: str, create: Callable[[], Component]
) -> Any:
    """Start what guards access: it must not leave the door open if it does not start.

    Raises
    ------
    StartError
        It does not run.
    """
    label = f"{name} ({record.source})"
    if record.state is not PluginState.LOADED:
        raise StartError(f"{label} guards associations, but its plugin failed: {record.reason}")
    return await lifespan.start(label, create, record.name)


def _create(name: str, create: Callable[[], ComponentT]) -> ComponentT:
    try:
        component = create()
    except (Exception, SystemExit) as error:
        raise StartError(f"{name} cannot be created: {_summary(error)}") from error
    if not isinstance(component, Component):
        raise StartError(f"{name} is not a component, but {component!r:.200}")
    return component


def _summary(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"
