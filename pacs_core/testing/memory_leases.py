"""Leases in memory: the contract in its simplest form, for indexes in memory."""

import time
from collections.abc import Sequence

from anyio.lowlevel import checkpoint

from pacs_core.contracts import Lease, Leases


class MemoryLeases(Leases):
    """Keeps leases as long as it lives."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Lease, float]] = {}
        self._tokens: dict[str, int] = {}

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease."""
        await checkpoint()
        if name in self._held:
            lease, until = self._held[name]
            if lease.holder != holder and until > time.monotonic():
                return None
        self._tokens[name] = self._tokens.get(name, 0) + 1
        lease = Lease(name, holder, self._tokens[name])
        self._held[name] = lease, time.monotonic() + seconds
        return lease

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a lease longer."""
        await checkpoint()
        if lease.name not in self._held or self._held[lease.name][0] != lease:
            return False
        self._held[lease.name] = lease, time.monotonic() + seconds
        return True

    async def release(self, lease: Lease) -> None:
        """Let others take a lease."""
        await checkpoint()
        if lease.name in self._held and self._held[lease.name][0] == lease:
            del self._held[lease.name]

    async def held(self) -> Sequence[Lease]:
        """Return the leases that are held."""
        await checkpoint()
        now = time.monotonic()
        return [lease for _, (lease, until) in sorted(self._held.items()) if until > now]
