"""Sends files on associations, several outstanding at once, and copes with those that drop."""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
from attrs import define, field

from pacs_core.association import Association, AssociationError, AssociationOptions
from pacs_core.association.sender import DatasetSource
from pacs_core.cli.file_counts import FileCounts
from pacs_core.cli.files import DicomFile
from pacs_core.cli.session import Session, describe_response
from pacs_core.cli.store_batches import StoreBatch
from pacs_core.concurrency import begin_iteration
from pacs_core.contracts import Action, FrameFormat, Plan, Transcoder, TranscodingError
from pacs_core.dimse import Command, StatusCategory, category
from pacs_core.upper_layer import AsynchronousOperations

# Theory of operation
#
# Files of a batch wait in one queue that workers take from, one more worker than the window has
# slots: it prepares the next file, so that the association never waits for the disk.
#
# When an association drops, nobody knows which file it was that the peer could not stand. So files
# that were under way go back to the head of the queue with one try less, and from then on one is
# sent at a time: the next drop tells which. A file that was under way on two associations that
# dropped is given up, not those behind it. Three associations in a row without a single response
# mean that it is not the files, and the rest is given up.
#
# A file whose response was lost may have been stored. It is sent again: the same instance under the
# same UID is what archives acknowledge without storing it twice.

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
class FileDelivery:
    """Delivers batches of files to a peer.

    Attributes
    ----------
    session : Session
    counts : FileCounts
    window : int
        Stores outstanding on one association, if the peer agrees (PS3.7 D.3.3.3).
    transcoder : Transcoder
        Chooses the form in which a file goes out.
    """

    session: Session
    counts: FileCounts
    window: int
    transcoder: Transcoder
    _was_connected: bool = False

    async def deliver(self, batch: StoreBatch) -> None:
        """Send the files of a batch on one association; on others if it drops.

        Raises
        ------
        AssociationError
            No association could be made at all.
        """
        queue = deque(_Attempt(file) for file in batch.files)
        window, fruitless = self.window, 0
        while queue:
            run = _AssociationRun(self, queue)
            reason = await self._associate(batch, run, window)
            fruitless = 0 if run.answered else fruitless + 1
            if fruitless == _FRUITLESS:
                self._give_up(queue, reason)
            # One at a time from now on shows which file it is that the peer cannot stand.
            window = 1

    async def _associate(self, batch: StoreBatch, run: "_AssociationRun", window: int) -> str:
        operations = AsynchronousOperations(window, 1) if window > 1 else None
        try:
            async with self.session.associate(
                batch.proposals, AssociationOptions(operations=operations)
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
            self.counts.fail(queue.popleft().file.path, reason)


@define
class _AssociationRun:
    """One association's share of the work."""

    delivery: FileDelivery
    queue: deque[_Attempt]
    dropped: list[_Attempt] = field(factory=list)
    answered: int = 0
    reason: str = ""
    _plans: dict[tuple[str, str], tuple[Plan, Mapping[str, int]]] = field(factory=dict)

    async def send_all(self, association: Association, window: int) -> None:
        """Send as many at once as the window has room for, with the next one at hand."""
        slots = anyio.Semaphore(window, fast_acquire=True)
        async with anyio.create_task_group() as tasks:
            for _ in range(window + 1):
                tasks.start_soon(self._work, association, slots)

    async def _work(self, association: Association, slots: anyio.Semaphore) -> None:
        while self.queue and not self.reason:
            attempt = self.queue.popleft()
            try:
                await self._send(association, attempt, slots)
            except AssociationError as error:
                attempt.tries += 1
                self.reason = self.reason or str(error)
                self.dropped.append(attempt)
            except OSError as error:
                self.counts.fail(attempt.file.path, error.strerror or str(error))
            except TranscodingError as error:
                self.counts.fail(attempt.file.path, str(error))

    @property
    def counts(self) -> FileCounts:
        return self.delivery.counts

    async def _send(
        self, association: Association, attempt: _Attempt, slots: anyio.Semaphore
    ) -> None:
        file = attempt.file
        plan, contexts = self._plan_and_contexts(association, file)
        if plan.encoder:
            plan = self._make_plan(file, contexts, await file.image())
        if plan.action is Action.REFUSE:
            self.answered += 1
            reason = f"{plan.reason}; it was not sent"
            if not contexts:
                reason = f"the peer does not accept SOP class {file.sop_class_uid}"
            self.counts.fail(file.path, reason)
            return
        # The dataset is read or converted before a slot is taken, so that the window is never
        # empty while a file is on its way from the disk.
        async with self._dataset(plan, file) as dataset, slots:
            if self.reason:  # the association dropped meanwhile: this file was not begun
                self.queue.appendleft(attempt)
                return
            response = await association.c_store(
                file.sop_class_uid,
                plan.sop_instance_uid(file.sop_instance_uid),
                dataset,
                context_id=contexts[plan.target],
            )
        self.answered += 1
        self._count_response(file, response)

    @asynccontextmanager
    async def _dataset(self, plan: Plan, file: DicomFile) -> AsyncIterator[DatasetSource]:
        if plan.action is Action.PASS_THROUGH:
            yield await file.dataset()
            return
        async with begin_iteration(
            self.delivery.transcoder.transcode(plan, file.chunks())
        ) as converted:
            yield converted

    def _plan_and_contexts(
        self, association: Association, file: DicomFile
    ) -> tuple[Plan, Mapping[str, int]]:
        """Return how a file goes out, and in which contexts it could: once for all of its form."""
        form = file.sop_class_uid, file.transfer_syntax_uid
        if form not in self._plans:
            contexts = accepted_contexts(association, file)
            self._plans[form] = self._make_plan(file, contexts), contexts
        return self._plans[form]

    def _make_plan(
        self, file: DicomFile, contexts: Mapping[str, int], image: FrameFormat | None = None
    ) -> Plan:
        transcoder, peer = self.delivery.transcoder, self.delivery.session.peer
        return transcoder.plan(file.transfer_syntax_uid, contexts, peer, image)

    def _count_response(self, file: DicomFile, response: Command) -> None:
        kind = category(response.status or 0)
        if kind is StatusCategory.SUCCESS:
            self.counts.add("stored")
        elif kind is StatusCategory.WARNING:
            self.counts.warn(file.path, "stored", describe_response(response))
        else:
            self.counts.fail(file.path, describe_response(response))

    def put_back(self) -> None:
        """Queue again what was on its way, and give up on what was so too often."""
        for attempt in reversed(self.dropped):
            if attempt.tries < _TRIES:
                self.queue.appendleft(attempt)
            else:
                self.counts.fail(attempt.file.path, self.reason)


def accepted_contexts(association: Association, file: DicomFile) -> Mapping[str, int]:
    """Return the contexts that were accepted for a file's SOP class, by transfer syntax."""
    return {
        context.transfer_syntax: context.id
        for context in association.contexts.values()
        if context.scu and context.abstract_syntax == file.sop_class_uid
    }
