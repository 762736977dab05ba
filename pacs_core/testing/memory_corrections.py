"""A log of corrections in memory: the contract in its simplest form, for indexes in memory."""

from collections.abc import Sequence

from anyio.lowlevel import checkpoint
from attrs import evolve

from pacs_core.contracts import Correction, CorrectionExistsError, CorrectionLog


class MemoryCorrectionLog(CorrectionLog):
    """Keeps corrections as long as it lives."""

    def __init__(self) -> None:
        self._corrections: dict[int, Correction] = {}

    @property
    def seen(self) -> int:
        """The number of the last correction."""
        return max(self._corrections, default=0)

    async def add(self, correction: Correction) -> None:
        """Add a correction."""
        await checkpoint()
        if correction.number in self._corrections:
            raise CorrectionExistsError(f"there is a correction {correction.number} already")
        self._corrections[correction.number] = correction

    async def settle(self, number: int) -> None:
        """Note that a correction has been applied."""
        await checkpoint()
        if (correction := self._corrections.get(number)) is not None:
            self._corrections[number] = evolve(correction, is_settled=True)

    async def corrections(self, after: int = 0) -> Sequence[Correction]:
        """Return the corrections with greater numbers."""
        await checkpoint()
        return [self._corrections[n] for n in sorted(self._corrections) if n > after]

    def clear(self) -> None:
        """Forget all, as :meth:`Index.clear` does."""
        self._corrections.clear()
