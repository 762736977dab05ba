"""The service as an application entity: images come by C-STORE, and so go the results.

What comes over one association is one request; results are sent when it has been released.
"""

import threading
import time
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts, build_context

from pacs_ai_example.model import NothingToSeeError
from pacs_ai_example.results import infer, write


class DimseService:
    """An application entity that infers.

    Parameters
    ----------
    ae_title : str
    address : (str, int)
        On which it listens.
    archive : (str, str, int)
        AE title, host and port to which results are sent.
    delay : float
        Seconds that each inference takes at least.
    """

    def __init__(
        self,
        ae_title: str,
        address: tuple[str, int],
        archive: tuple[str, str, int],
        delay: float = 0.0,
    ) -> None:
        self._entity = AE(ae_title)
        self._entity.supported_contexts = AllStoragePresentationContexts
        self._entity.add_supported_context("1.2.840.10008.1.1")
        self._archive, self._delay = archive, delay
        self._received: dict[Any, list[bytes]] = {}
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_RELEASED, self._released)]
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
        self._received.setdefault(event.assoc, []).append(write(dataset))
        return 0x0000

    def _released(self, event: Any) -> None:
        files = self._received.pop(event.assoc, [])
        if files:
            threading.Thread(target=self._infer, args=(files,), daemon=True).start()

    def _infer(self, files: list[bytes]) -> None:
        time.sleep(self._delay)
        try:
            results = [dcmread(BytesIO(each)) for each in infer(files)]
        except NothingToSeeError as error:
            print(error, flush=True)
            return
        title, host, port = self._archive
        contexts = [build_context(each.SOPClassUID, ExplicitVRLittleEndian) for each in results]
        entity = AE(self._entity.ae_title)
        association = entity.associate(host, port, contexts, ae_title=title)
        for each in results if association.is_established else ():
            status = association.send_c_store(each)
            print(f"{each.SOPInstanceUID} {status.get('Status', -1):04X}", flush=True)
        if association.is_established:
            association.release()
