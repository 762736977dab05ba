"""Associations that print, shared by who serves them and who reports to them."""

import anyio

from pacs_core.contracts import Component
from pacs_sop_print.session import Printing


class OpenAssociations(Component):
    """The associations of this worker that print, by identifier."""

    def __init__(self) -> None:
        self.printing: dict[str, Printing] = {}
        self._begun = anyio.Event()

    def add(self, printing: Printing) -> None:
        """Add an association that has begun to print."""
        self.printing[printing.association.id] = printing
        self._begun.set()

    async def wait(self) -> None:
        """Wait until there is one, which wakes nobody where nobody prints."""
        while not self.printing:
            self._begun = anyio.Event()
            await self._begun.wait()
