"""The service as an application entity: images come by C-STORE, and so go the results.

What comes over one association is one request; results are sent when it has been released. Images
are on the disk before they are acknowledged, and go when their results have been taken: whoever
kills the service between the two finds it at work again once it is started.
"""

import threading
import time
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts

from pacs_ai_example.archive import Archive, ArchiveAwayError
from pacs_ai_example.delay import Delay
from pacs_ai_example.model import NothingToSeeError
from pacs_ai_example.results import infer, write
from pacs_ai_example.spool import Spool

_PAUSE = 1.0
"""Seconds after which an archive that is away is tried again."""


class DimseService:
    """An application entity that infers.

    Parameters
    ----------
    ae_title : str
    address : (str, int)
        On which it listens.
    archive : Archive
        To which results are sent.
    spool : Spool
    delay : Delay
    """

    def __init__(
        self,
        ae_title: str,
        address: tuple[str, int],
        archive: Archive,
        spool: Spool,
        delay: Delay,
    ) -> None:
        self._entity = AE(ae_title)
        self._entity.supported_contexts = AllStoragePresentationContexts
        self._entity.add_supported_context("1.2.840.10008.1.1")
        self._archive, self._spool, self._delay = archive, spool, delay
        self._coming: dict[Any, str] = {}
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._released),
            (evt.EVT_ABORTED, self._aborted),
        ]
        for name in spool.names():
            self._work_on(name)
        self._server = self._entity.start_server(address, block=False, evt_handlers=handlers)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None  # noqa: S101
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Listen no more."""
        self._entity.shutdown()

    def _store(self, event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        if event.assoc not in self._coming:
            self._coming[event.assoc] = self._spool.begin()
        self._spool.add(self._coming[event.assoc], write(dataset))
        return 0x0000

    def _released(self, event: Any) -> None:
        if name := self._coming.pop(event.assoc, ""):
            self._spool.finish(name)
            self._work_on(name)

    def _aborted(self, event: Any) -> None:
        if name := self._coming.pop(event.assoc, ""):
            self._spool.remove(name)

    def _work_on(self, name: str) -> None:
        threading.Thread(target=self._infer, args=(name,), daemon=True).start()

    def _infer(self, name: str) -> None:
        self._delay.wait()
        try:
            results = infer(self._spool.read(name))
        except NothingToSeeError as error:
            print(error, flush=True)
            results = []
        while results:
            try:
                self._archive.store(results)
                break
            except ArchiveAwayError as error:
                print(error, flush=True)
                time.sleep(_PAUSE)
        self._spool.remove(name)
