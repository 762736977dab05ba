"""Sends files on associations, several outstanding at once, and copes with those that drop."""

from collections import deque

import anyio
from attrs import define, field

from pacs_core.association import Association, AssociationError, Options
from pacs_core.cli.files import DicomFile
from pacs_core.cli.session import Session, meaning
from pacs_core.cli.shipments import Shipment
from pacs_core.cli.tally import Tally
from pacs_core.dataset import name_of
from pacs_core.dimse import Command, StatusCategory, category
from pacs_core.upper_layer import AsynchronousOperations

_TRIES = 2
"""Associations that may drop while a file is on its way."""

_FRUITLESS = 3
"""Associations in a row without any response, after which the rest is not tried."""


@define
class _Attempt:
    """A file, and on how many associations it was begun."""

    file: DicomFile
    tries: int = 0


@define
class Sending:
    """Delivers shipments to a peer.

    Attributes
    ----------
    session : Session
    tally : Tally
    window : int
        Stores outstanding on one association, if the peer agrees (PS3.7 D.3.3.3).
    """

    session: Session
    tally: Tally
    window: int
    _was_connected: bool = False

    async def deliver(self, shipment: Shipment) -> None:
        """Send the files of a shipment on one association; on others if it drops.

        Raises
        ------
        AssociationError
            No association could be made at all.
        """
        queue = deque(_Attempt(file) for file in shipment.files)
        window, fruitless = self.window, 0
        while queue:
            run = _Run(self.tally, queue)
            reason = await self._associate(shipment, run, window)
            fruitless = 0 if run.answered else fruitless + 1
            if fruitless == _FRUITLESS:
                self._give_up(queue, reason)
            # One at a time from now on shows which file it is that the peer cannot stand.
            window = 1

    async def _associate(self, shipment: Shipment, run: "_Run", window: int) -> str:
        operations = AsynchronousOperations(window, 1) if window > 1 else None
        try:
            async with self.session.associate(
                shipment.proposals, Options(operations=operations)
            ) as association:
                self._was_connected = True
                await run.send_all(association, window)
        except AssociationError as error:
            if not self._was_connected:
                raise
            run.reason = run.reason or str(error)
        run.put_back()
        return run.reason

    def _give_up(self, queue: deque[_Attempt], reason: str) -> None:
        while queue:
            self.tally.failed(queue.popleft().file.path, reason)


@define
class _Run:
    """One association's share of the work."""

    tally: Tally
    queue: deque[_Attempt]
    dropped: list[_Attempt] = field(factory=list)
    answered: int = 0
    reason: str = ""

    async def send_all(self, association: Association, window: int) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(window):
                tasks.start_soon(self._work, association)

    async def _work(self, association: Association) -> None:
        while self.queue and not self.reason:
            attempt = self.queue.popleft()
            try:
                await self._send(association, attempt.file)
            except AssociationError as error:
                attempt.tries += 1
                self.reason = self.reason or str(error)
                self.dropped.append(attempt)
            except OSError as error:
                self.tally.failed(attempt.file.path, error.strerror or str(error))

    async def _send(self, association: Association, file: DicomFile) -> None:
        context_id = _context(association, file)
        if context_id is None:
            self.answered += 1
            self.tally.failed(file.path, _unacceptable(association, file))
            return
        dataset = await file.dataset()
        response = await association.c_store(
            file.sop_class_uid, file.sop_instance_uid, dataset, context_id=context_id
        )
        self.answered += 1
        self._note(file, response)

    def _note(self, file: DicomFile, response: Command) -> None:
        kind = category(response.status or 0)
        if kind is StatusCategory.SUCCESS:
            self.tally.done("stored")
        elif kind is StatusCategory.WARNING:
            self.tally.warned(file.path, "stored", meaning(response))
        else:
            self.tally.failed(file.path, meaning(response))

    def put_back(self) -> None:
        """Queue again what was on its way, and give up on what was so too often."""
        for attempt in reversed(self.dropped):
            if attempt.tries < _TRIES:
                self.queue.appendleft(attempt)
            else:
                self.tally.failed(attempt.file.path, self.reason)


def _context(association: Association, file: DicomFile) -> int | None:
    for context in association.contexts.values():
        pair = context.abstract_syntax, context.transfer_syntax
        if context.scu and pair == (file.sop_class_uid, file.transfer_syntax_uid):
            return context.id
    return None


def _unacceptable(association: Association, file: DicomFile) -> str:
    others = [
        name_of(context.transfer_syntax)
        for context in association.contexts.values()
        if context.abstract_syntax == file.sop_class_uid
    ]
    if not others:
        return f"the peer does not accept SOP class {file.sop_class_uid}"
    return (
        f"the peer does not accept it in {name_of(file.transfer_syntax_uid)}, only in "
        f"{' or '.join(dict.fromkeys(others))}; it was not sent, as nothing is transcoded"
    )
