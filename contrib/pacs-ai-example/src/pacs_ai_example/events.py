"""Events of work items (PS3.4 CC.2.4): that there are new ones, and which are not wanted any more.

The service subscribes to all work items, and is told on an association of its own, which it holds
open: so the archive need not know where it is. What happens while it is away waits there.
"""

import threading
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, evt

from pacs_ai_example.archive import Archive

_PUSH, _WATCH = "1.2.840.10008.5.1.4.34.6.1", "1.2.840.10008.5.1.4.34.6.2"
_EVENT = "1.2.840.10008.5.1.4.34.6.4"
_ALL = "1.2.840.10008.5.1.4.34.5"
"""UPS Global Subscription SOP Instance UID."""
_SUBSCRIBE, _STATE_REPORT, _CANCEL_REQUESTED = 3, 1, 2
_PAUSE = 1.0


class StepEvents:
    """What the archive has said of work items.

    Parameters
    ----------
    archive : Archive
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._unwanted: set[str] = set()
        self.news = threading.Event()

    def is_unwanted(self, uid: str) -> bool:
        """Tell whether somebody wants a work item canceled."""
        return uid in self._unwanted

    def run(self, ended: threading.Event) -> None:
        """Be told until it is over; who was away subscribes again."""
        while not ended.is_set():
            self._listen(ended)
            ended.wait(_PAUSE)

    def _listen(self, ended: threading.Event) -> None:
        entity = AE(self._archive.calling)
        entity.network_timeout = None  # for hours there may be nothing to say
        for uid in (_WATCH, _EVENT):
            entity.add_requested_context(uid)
        association = entity.associate(
            self._archive.host,
            self._archive.port,
            ae_title=self._archive.ae_title,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._take)],
        )
        if not association.is_established:
            return
        wanted = Dataset()
        wanted.ReceivingAE, wanted.DeletionLock = self._archive.calling, "FALSE"
        status, _ = association.send_n_action(wanted, _SUBSCRIBE, _PUSH, _ALL, meta_uid=_WATCH)
        if "Status" in status and status.Status in {0x0000, 0xB301}:
            print("subscribed to work items", flush=True)
            self.news.set()  # what was there before
            while association.is_established and not ended.wait(_PAUSE):
                pass
        if association.is_established:
            association.release()

    def _take(self, event: Any) -> tuple[int, None]:
        uid = str(event.request.AffectedSOPInstanceUID)
        if event.event_type == _CANCEL_REQUESTED:
            self._unwanted.add(uid)
        elif event.event_type == _STATE_REPORT:
            self.news.set()
        return 0x0000, None
