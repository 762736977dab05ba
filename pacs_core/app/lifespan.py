"""Starts components in order, stops them in reverse, and keeps the failures of each apart."""

import logging

import anyio

from pacs_core.contracts import Component

logger = logging.getLogger(__name__)


class StartError(Exception):
    """A component did not start."""


class Lifespan:
    """The components that run, in the order in which they were started.

    Parameters
    ----------
    timeout : float
        Seconds that a component has to start, and to stop.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._running: list[tuple[str, Component]] = []

    async def start(self, name: str, component: Component) -> None:
        """Start a component.

        Raises
        ------
        StartError
            It raised, or took too long. It was stopped again.
        """
        self._running.append((name, component))
        try:
            with anyio.fail_after(self._timeout):
                await component.start()
        except TimeoutError as error:
            await self._stop_last()
            raise StartError(f"{name} did not start within {self._timeout:g} s") from error
        except Exception as error:
            await self._stop_last()
            raise StartError(f"{name} did not start: {type(error).__name__}: {error}") from error

    async def stop_all(self) -> None:
        """Stop everything, last started first; never raises."""
        with anyio.CancelScope(shield=True):
            while self._running:
                await self._stop_last()

    async def _stop_last(self) -> None:
        name, component = self._running.pop()
        try:
            with anyio.fail_after(self._timeout):
                await component.stop()
        except TimeoutError:
            logger.error("%s did not stop within %g s", name, self._timeout)  # noqa: TRY400
        except Exception:
            logger.exception("%s failed to stop", name)
