"""The account of sub-operations, and the responses that it leads to (PS3.4 C.4.2, C.4.3)."""

from typing import Final

import anyio
from attrs import define, field

from pacs_core.contracts import Operation, Response
from pacs_core.dataset import encode_attributes
from pacs_core.dimse import Status, StatusCategory, category
from pacs_sop_query_retrieve.models import FAILED_UIDS

_MAX_LIST: Final = 0xFFFE
"""Bytes that fit a UI element in explicit VR (PS3.5 §7.1.2); UIDs beyond are only counted."""


@define
class Progress:
    """What became of the sub-operations so far, and why the last that failed did."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    reason: str = ""
    _failed_uids: list[str] = field(factory=list)
    _room: int = _MAX_LIST

    def record(self, sop_instance_uid: str, status: int, reason: str = "") -> None:
        """Account for a sub-operation by the status of its C-STORE, and why if it failed."""
        # Instances may have come since the matches were counted.
        self.remaining = max(0, self.remaining - 1)
        kind = category(status)
        if kind is StatusCategory.SUCCESS:
            self.completed += 1
        elif kind is StatusCategory.WARNING:
            self.warning += 1
        else:
            self.failed += 1
            self.reason = reason
            self._room -= len(sop_instance_uid) + 1
            if self._room >= 0:
                self._failed_uids.append(sop_instance_uid)

    def response(self, transfer_syntax_uid: str, *, cancelled: bool) -> Response:
        """Return the final response; with a list of what failed, if anything did."""
        # A702H says that nothing could be sent, B000H that something was, or came with a warning.
        if cancelled:
            status = Status.CANCEL
        elif not self.failed and not self.warning:
            status = Status.SUCCESS
        elif not self.completed and not self.warning:
            status = Status.OUT_OF_RESOURCES_SUBOPERATIONS
        else:
            status = Status.SUBOPERATIONS_COMPLETE_WITH_FAILURES
        uids = {FAILED_UIDS: tuple(self._failed_uids)}
        return Response(
            status,
            encode_attributes(uids, transfer_syntax_uid) if self.failed else None,
            comment=self.reason,
            remaining=self.remaining if cancelled else None,
            completed=self.completed,
            failed=self.failed,
            warning=self.warning,
        )


@define
class Reporter:
    """Sends pending responses, at most one in `interval` seconds."""

    operation: Operation
    progress: Progress
    interval: float
    _last: float = field(factory=lambda: -float("inf"))

    async def report(self) -> None:
        """Send the numbers, if it is time."""
        now = anyio.current_time()
        if now - self._last < self.interval:
            return
        self._last = now
        progress = self.progress
        await self.operation.send_pending(
            remaining=progress.remaining,
            completed=progress.completed,
            failed=progress.failed,
            warning=progress.warning,
        )
