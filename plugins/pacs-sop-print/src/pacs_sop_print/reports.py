"""Events of printer and print jobs, reported to those who are still there (PS3.4 H.4.5, H.4.6).

An event goes out on the association that it concerns, as long as that is open: of a print job to
who began it, of the printer to all who print. Jobs may be printed by another worker, or another
node; so what is known of them is read from the database, and only while there is somebody to tell.
"""

from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from pacs_core.api.pauses import common_moment
from pacs_core.contracts import AssociationError, Node, Service, Started
from pacs_sop_print.associations import OpenAssociations
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.interface import ENDED, ExecutionStatus, JobRecord, PrintQueue
from pacs_sop_print.session import Printing
from pacs_sop_print.sop_classes import PRINT_JOB, PRINTER, PRINTER_INSTANCE, served_by

_PAUSE: Final = 0.5

_JOB_EVENTS: Final = {
    ExecutionStatus.PENDING: 1,
    ExecutionStatus.PRINTING: 2,
    ExecutionStatus.DONE: 3,
    ExecutionStatus.FAILURE: 4,
}
"""Event Type IDs of the Print Job (PS3.4 H.4.5.2.1)."""
_NORMAL, _WARNING = 1, 2
"""Event Type IDs of the Printer (PS3.4 H.4.6.2.1)."""


@define(eq=False)
class Reports(Service):
    """Reports events.

    Parameters
    ----------
    node : Node
    config : PrintConfig
    """

    node: Node
    config: PrintConfig
    _busy: set[str] = field(factory=set, init=False)

    async def run(self, started: Started) -> None:
        """Look for news twice a second, while anybody is there."""
        open_associations = self.node.find(OpenAssociations)
        started()
        async with anyio.create_task_group() as tasks:
            while True:
                await open_associations.wait()
                await anyio.sleep_until(common_moment(_PAUSE))
                if everybody := list(open_associations.printing.values()):
                    await self._look(tasks, everybody)

    async def _look(self, tasks: TaskGroup, everybody: list[Printing]) -> None:
        queue = self.node.find(PrintQueue)
        trouble = await queue.trouble()
        uids = [uid for printing in everybody for uid in printing.jobs]
        records = {record.uid: record for record in await queue.find_all(uids)} if uids else {}
        for printing in everybody:
            if printing.association.id not in self._busy:
                self._busy.add(printing.association.id)
                tasks.start_soon(self._tell, printing, records, trouble)

    async def _tell(self, printing: Printing, records: dict[str, JobRecord], trouble: str) -> None:
        try:
            for uid, told in list(printing.jobs.items()):
                record = records.get(uid)
                if record is not None and record.state != told:
                    await self._tell_of_job(printing, record)
            await self._tell_of_printer(printing, bool(trouble))
        except AssociationError:
            pass  # it has ended meanwhile
        finally:
            self._busy.discard(printing.association.id)

    async def _tell_of_job(self, printing: Printing, record: JobRecord) -> None:
        if record.state in ENDED:
            del printing.jobs[record.uid]
        else:
            printing.jobs[record.uid] = record.state
        if _context_for(printing, PRINT_JOB) is None:
            return
        # Whoever prints has loaded pydicom: it is not needed before.
        from pydicom import Dataset

        information = Dataset()
        information.ExecutionStatusInfo = record.info
        information.PrinterName = self.config.name
        if record.label:
            information.FilmSessionLabel = record.label
        event = _JOB_EVENTS[record.state]
        await printing.link.n_event_report(PRINT_JOB, record.uid, event, information)

    async def _tell_of_printer(self, printing: Printing, is_troubled: bool) -> None:
        before, printing.trouble = printing.trouble, is_troubled
        context = _context_for(printing, PRINTER)
        if before is None or before == is_troubled or context is None:
            return
        from pydicom import Dataset

        information = Dataset()
        information.PrinterName = self.config.name
        information.PrinterStatusInfo = "CHECK PRINTER" if is_troubled else "NORMAL"
        await printing.link.n_event_report(
            PRINTER,
            PRINTER_INSTANCE,
            _WARNING if is_troubled else _NORMAL,
            information,
            negotiated_as=context,
        )


def _context_for(printing: Printing, sop_class: str) -> str | None:
    """Return the abstract syntax of an accepted context in which a SOP class is used."""
    for context in printing.association.contexts.values():
        if sop_class in served_by(context.abstract_syntax):
            return context.abstract_syntax
    return None
