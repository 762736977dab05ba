"""Storage SCPs of pynetdicom to which a node under test sends, and who sends to the node."""

import json
import threading
from contextlib import contextmanager, redirect_stdout
from io import BytesIO, StringIO

from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dsutils import decode

from pacs_core.cli.main import main
from pacs_core.testing.peer_programs import find_free_port

BASE = (
    "jobs", "database", "sop-storage", "sop-verification", "store-filesystem", "index-sqlite",
    "audit-json",
)  # fmt: skip
PLUGINS = ("routing", *BASE)


class Receiver:
    """A storage SCP of pynetdicom, which answers as it is told and can go away and come back."""

    handlers = ()

    def __init__(self, title="DEST", contexts=AllStoragePresentationContexts):
        self.title, self.port = title, find_free_port()
        self.contexts = contexts
        self.received, self.status, self.server = [], {}, None
        self.datasets = {}
        self.sources = []
        self.lock = threading.Lock()

    def _take(self, event):
        uid = event.request.AffectedSOPInstanceUID
        with self.lock:
            self.sources.append((event.assoc.requestor.ae_title, event.request.Priority))
            status = self.status.get(uid, 0x0000)
            if status == "abort":
                event.assoc.abort()
                return 0x0110
            if isinstance(status, list):
                status = status.pop(0) if status else 0x0000
            if status == 0x0000:
                self.received.append(uid)
                self.datasets[uid] = event.dataset
            return status

    def up(self):
        ae = AE(self.title)
        ae.supported_contexts = self.contexts
        handlers = [(evt.EVT_C_STORE, self._take), *self.handlers]
        self.server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def down(self):
        if self.server is not None:
            self.server.shutdown()
            self.server = None

    @property
    def peer(self):
        return {"ae_title": self.title, "host": "127.0.0.1", "port": self.port}

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self.down()


def pydicom_of(sample):
    dataset = decode(BytesIO(sample.encode()), is_implicit_vr=False, is_little_endian=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@contextmanager
def modality(port, title, sop_classes):
    ae = AE(title)
    for sop_class in sop_classes:
        ae.add_requested_context(sop_class)
    association = ae.associate("127.0.0.1", port, ae_title="PACS")
    assert association.is_established
    try:
        yield association
    finally:
        association.release()
        association.join(60)


def store(port, samples, title="MODALITY"):
    with modality(port, title, {sample.sop_class_uid for sample in samples}) as association:
        for sample in samples:
            assert association.send_c_store(pydicom_of(sample)).Status == 0x0000
    return [sample.sop_instance_uid for sample in samples]


def pacs(directory, *arguments, code=0):
    """Run a command beside the node that ends with a code, or one of several; return its output."""
    output = StringIO()
    with redirect_stdout(output):
        found = main([*arguments, "--config", str(directory / "pacs.toml")])
    codes = code if isinstance(code, tuple) else (code,)
    assert found in (*codes, None), output.getvalue()
    return output.getvalue()


def described(directory, *arguments, code=0):
    output = pacs(directory, *arguments, "--json", code=code)
    return [json.loads(line) for line in output.splitlines()]


def rules(receivers, rules, **plugin):
    return {
        "peers": {name: each if isinstance(each, dict) else each.peer
                  for name, each in receivers.items()},
        "archive": {"study_quiet_time": 1.0, "space": {"reserve": 0}},
        "plugin": {"routing": {"first_pause": 0.2, "longest_pause": 1.0, "rules": rules, **plugin}},
    }  # fmt: skip
