"""An association in a task of its own, so that it may be opened and left at any point.

What enters a cancel scope must leave it in the same task, and in order. Results are taken one by
one by a caller who has scopes of its own, so the association cannot be the caller's.
"""

from contextlib import AbstractAsyncContextManager
from typing import Final

import anyio
from attrs import define, field

from pacs_core.contracts import (
    AssociationAbortedError,
    AssociationError,
    AuditFailedError,
    RequestedAssociation,
)

_GRACE: Final = 2.0  # seconds for an association to be released by a caller that was cancelled


@define
class HeldAssociation:
    """Holds an association until it is left, also where the caller was cancelled."""

    _association: RequestedAssociation | None = None
    _failure: AssociationError | AuditFailedError | None = None
    _scope: anyio.CancelScope = field(factory=lambda: anyio.CancelScope(shield=True))
    _settled: anyio.Event = field(factory=anyio.Event)
    _leaving: anyio.Event = field(factory=anyio.Event)
    _left: anyio.Event = field(factory=anyio.Event)

    @property
    def association(self) -> RequestedAssociation | None:
        """The association, while it is open."""
        return None if self._left.is_set() else self._association

    async def hold(self, connection: AbstractAsyncContextManager[RequestedAssociation]) -> None:
        """Associate, and stay until :meth:`leave` is called, which must be."""
        try:
            with self._scope:
                async with connection as self._association:
                    self._settled.set()
                    await self._leaving.wait()
        except (AssociationError, AuditFailedError) as error:
            self._failure = error
        finally:
            self._settled.set()
            self._left.set()

    async def wait_open(self) -> RequestedAssociation:
        """Wait for the association.

        Raises
        ------
        AssociationError, AuditFailedError
            There is none.
        """
        await self._settled.wait()
        if self._association is None:
            raise self._failure or AssociationAbortedError("it was not wanted any more")
        return self._association

    def let_go(self) -> None:
        """Let the association be released, without waiting for that: :meth:`leave` must follow."""
        self._leaving.set()

    async def leave(self) -> None:
        """Release the association; abort it if the caller is cancelled and that takes long."""
        self.let_go()
        # Whoever leaves before there is an association does not wait for the peer to answer.
        if not self._settled.is_set():
            self._scope.cancel()
        try:
            await self._left.wait()
        except BaseException:
            # Cancelled: a release gets a moment, then it is an abort. Either way the task that
            # holds the association has ended before the caller goes on.
            with anyio.move_on_after(_GRACE, shield=True):
                await self._left.wait()
            self._scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._left.wait()
            raise
