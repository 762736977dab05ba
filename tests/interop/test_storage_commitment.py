"""Storage Commitment (PS3.4 Annex J): asked by pynetdicom and by a node of our own, and asking."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from io import BytesIO
from queue import Empty, Queue

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, node_thread

# pynetdicom fails in threads of its own when an archive is killed.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PLUGINS = (
    "sop-storage-commitment", "jobs", "database", "sop-storage", "sop-verification",
    "store-filesystem", "index-sqlite", "audit-json",
)  # fmt: skip
PATIENCE = 60.0
MR = "1.2.840.10008.5.1.4.1.1.4"


class Modality:
    """A requestor that takes reports, on its own associations and on those of the archive."""

    def __init__(self, title="CT1"):
        self.ae = AE(title)
        self.reports = Queue()
        self.status = 0x0000
        self.handlers = [(evt.EVT_N_EVENT_REPORT, self._take)]

    def _take(self, event):
        roles = event.assoc.requestor.ae_title
        self.reports.put((event.event_type, event.event_information, roles))
        return self.status, None

    @contextmanager
    def listening(self, port=0):
        self.ae.supported_contexts = []
        self.ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        server = self.ae.start_server(("127.0.0.1", port), block=False, evt_handlers=self.handlers)
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()

    @contextmanager
    def associated(self, port, *, role=False):
        self.ae.requested_contexts = []
        self.ae.add_requested_context(StorageCommitmentPushModel)
        self.ae.add_requested_context(CTImageStorage)
        roles = [build_role(StorageCommitmentPushModel, scu_role=True)] if role else []
        association = self.ae.associate(
            "127.0.0.1", port, ae_title="PACS", evt_handlers=self.handlers, ext_neg=roles
        )
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def report(self):
        """Return type, committed UIDs and Failure Reasons by UID of the next report."""
        kind, information, _ = self.reports.get(timeout=PATIENCE)
        committed = [
            item.ReferencedSOPInstanceUID for item in information.get("ReferencedSOPSequence", ())
        ]
        failed = {
            item.ReferencedSOPInstanceUID: item.FailureReason
            for item in information.get("FailedSOPSequence", ())
        }
        return kind, committed, failed


def request_of(*references, uid=None):
    request = Dataset()
    request.TransactionUID = uid or generate_uid()
    request.ReferencedSOPSequence = []
    for sop_class, instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        request.ReferencedSOPSequence.append(item)
    return request


def ask(association, request, action=1, instance=StorageCommitmentPushModelInstance):
    status, _ = association.send_n_action(request, action, StorageCommitmentPushModel, instance)
    return status.Status


def pydicom_of(sample):
    dataset = decode(BytesIO(sample.encode()), is_implicit_vr=False, is_little_endian=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def store(association, count=1):
    samples = [SampleStudy().make("CT") for _ in range(count)]
    for each in samples:
        assert association.send_c_store(pydicom_of(each)).Status == 0x0000
    return [(CTImageStorage, each.sop_instance_uid) for each in samples]


def tables(modality_port=1, **plugin):
    peers = {"ct1": {"ae_title": "CT1", "host": "127.0.0.1", "port": modality_port}}
    return {"peers": peers, "plugin": {"sop-storage-commitment": plugin}}


@pytest.fixture
def modality():
    return Modality()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commitment")
    with node_thread(folder, tables(check="digest", max_instances=50), plugins=PLUGINS) as node:
        yield node


def object_of(node, uid):
    [path] = (node.data_directory / "objects").rglob(f"{uid}*.dcm")
    return path


@pytest.mark.parametrize("role", [False, True])
def test_the_result_comes_on_the_same_association(node, modality, role):
    with modality.associated(node.port, role=role) as association:
        stored = store(association, 3)
        wrong_class = (MR, stored[2][1])
        missing = (CTImageStorage, "1.2.3.4")
        unknown = ("1.2.3.999", "1.2.3.5")
        request = request_of(*stored[:2], wrong_class, missing, unknown)
        assert ask(association, request) == 0x0000
        kind, committed, failed = modality.report()
    assert kind == 2
    assert committed == [uid for _, uid in stored[:2]]
    assert failed == {stored[2][1]: 0x0119, "1.2.3.4": 0x0112, "1.2.3.5": 0x0122}


def test_all_is_well(node, modality):
    with modality.associated(node.port) as association:
        stored = store(association, 2)
        request = request_of(*stored)
        assert ask(association, request) == 0x0000
        kind, information, _ = modality.reports.get(timeout=PATIENCE)
    assert kind == 1
    assert information.TransactionUID == request.TransactionUID
    assert information.RetrieveAETitle == "PACS"
    assert "FailedSOPSequence" not in information


def test_what_is_gone_or_damaged_is_not_committed_to(node, modality):
    with modality.associated(node.port) as association:
        (gone, damaged, cut) = stored = store(association, 3)
        object_of(node, gone[1]).unlink()
        path = object_of(node, damaged[1])
        content = bytearray(path.read_bytes())
        content[-20] ^= 0xFF
        path.write_bytes(content)
        path = object_of(node, cut[1])
        path.write_bytes(path.read_bytes()[:-100])
        assert ask(association, request_of(*stored)) == 0x0000
        kind, committed, failed = modality.report()
    assert (kind, committed) == (2, [])
    assert failed[gone[1]] == 0x0112
    assert failed[damaged[1]] == failed[cut[1]] == 0x0110


def test_a_transaction_is_asked_for_again(node, modality):
    with modality.associated(node.port) as association:
        first, second, third = store(association, 3)
        request = request_of(first, second)
        assert ask(association, request) == 0x0000
        assert modality.report()[:2] == (1, [first[1], second[1]])
        object_of(node, first[1]).unlink()
        again = request_of(second, first, uid=request.TransactionUID)
        assert ask(association, again) == 0x0000
        assert modality.report() == (2, [second[1]], {first[1]: 0x0112})
        for _ in range(2):
            assert ask(association, request_of(third, uid=request.TransactionUID)) == 0x0000
            assert modality.report() == (2, [], {third[1]: 0x0131})


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda request: delattr(request, "TransactionUID"), 0x0115),
        (lambda request: setattr(request, "TransactionUID", "1.2.x"), 0x0115),
        (lambda request: delattr(request, "ReferencedSOPSequence"), 0x0115),
        (lambda request: setattr(request, "ReferencedSOPSequence", []), 0x0115),
        (lambda request: request.ReferencedSOPSequence[0].pop("ReferencedSOPClassUID"), 0x0115),
        (
            lambda request: setattr(
                request.ReferencedSOPSequence[0], "ReferencedSOPInstanceUID", "../../etc/passwd"
            ),
            0x0115,
        ),
        (lambda request: request.ReferencedSOPSequence.extend(request_of(
            *((CTImageStorage, f"1.2.9.{n}") for n in range(50))).ReferencedSOPSequence), 0x0213),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense(node, modality, change, status):
    request = request_of((CTImageStorage, "1.2.3"))
    change(request)
    with modality.associated(node.port) as association:
        assert ask(association, request) == status
        assert ask(association, request_of((CTImageStorage, "1.2.3"))) == 0x0000
        assert modality.report()[0] == 2


def test_a_request_that_is_too_large(node, modality):
    references = [(CTImageStorage, f"1.2.9.{n}") for n in range(2_000)]
    with modality.associated(node.port) as association:
        assert ask(association, request_of(*references)) == 0x0213
        assert ask(association, request_of(references[0])) == 0x0000
        assert modality.report()[0] == 2


def test_nothing_is_waited_for_where_the_report_comes_on_an_association_of_its_own(
    tmp_path, modality
):
    with (
        modality.listening() as port,
        node_thread(tmp_path, tables(port, wait=0.0), plugins=PLUGINS) as node,
        modality.associated(node.port) as association,
    ):
        request = request_of(*store(association))
        for _ in range(2):
            assert ask(association, request) == 0x0000
            kind, _, requestor = modality.reports.get(timeout=PATIENCE)
            assert (kind, requestor) == (1, "PACS")


def test_other_actions_instances_and_services(node, modality):
    request = request_of((CTImageStorage, "1.2.3"))
    with modality.associated(node.port) as association:
        assert ask(association, request, action=2) == 0x0123
        assert ask(association, request, instance="1.2.3") == 0x0112
        status, _ = association.send_n_get([], StorageCommitmentPushModel, "1.2.3")
        assert status.Status == 0x0211


def test_a_report_that_nobody_waits_for(node):
    """As if a peer reported a transaction of somebody else (PS3.7 §10.1.1.1.8)."""
    other = AE("VNA")
    other.add_requested_context(StorageCommitmentPushModel)
    roles = [build_role(StorageCommitmentPushModel, scp_role=True)]
    association = other.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=roles)
    assert association.is_established
    report = request_of((CTImageStorage, "1.2.3"))
    for kind, expected in ((1, 0x0115), (3, 0x0113)):
        status, _ = association.send_n_event_report(
            report, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        assert status.Status == expected
    association.release()


def test_it_is_audited(node, modality):
    with modality.associated(node.port) as association:
        request = request_of(*store(association))
        ask(association, request)
        modality.report()
    text = (node.data_directory / "audit" / "audit.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    about = [e for e in events if e["details"].get("transaction_uid") == request.TransactionUID]
    assert {"n-service", "sop-storage-commitment.committed"} <= {each["event"] for each in about}


def test_the_requestor_leaves_and_is_called_back(tmp_path, modality):
    with (
        modality.listening() as port,
        node_thread(tmp_path, tables(port, wait=0.2), plugins=PLUGINS) as node,
    ):
        with modality.associated(node.port) as association:
            stored = store(association)
            modality.status = 0x0110  # not now
            assert ask(association, request_of(*stored)) == 0x0000
        assert modality.report() == (1, [stored[0][1]], {})
        # It is told again until it takes the report.
        modality.status = 0x0000
        assert modality.report() == (1, [stored[0][1]], {})


def test_a_node_that_is_killed_reports_when_it_is_back(tmp_path, modality):
    with modality.listening() as port:
        settings = tables(port, wait=1.0)
        with (
            node_process(tmp_path, settings, plugins=PLUGINS) as node,
            modality.associated(node.port) as association,
        ):
            stored = store(association)
            assert ask(association, request_of(*stored)) == 0x0000
            node.kill()
        assert modality.reports.empty()
        with node_process(tmp_path, settings, plugins=PLUGINS):
            kind, information, title = modality.reports.get(timeout=PATIENCE)
    assert kind == 1
    assert title == "PACS"
    assert information.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == stored[0][1]


def test_a_modality_that_is_unknown_is_given_up(tmp_path):
    def await_word(word):
        until = time.monotonic() + PATIENCE
        while word not in (shown := pacs(tmp_path, "commitments", "list").stdout):
            assert time.monotonic() < until, shown
            time.sleep(0.3)

    stranger = Modality("NOBODY")
    with node_thread(tmp_path, tables(wait=0.1), plugins=PLUGINS) as node:
        with stranger.associated(node.port) as association:
            assert ask(association, request_of((CTImageStorage, "1.2.3"))) == 0x0000
            stranger.report()
            await_word("reported")
        with stranger.associated(node.port) as association:
            stranger.handlers[:] = []
            assert ask(association, request_of((CTImageStorage, "1.2.4"))) == 0x0000
        await_word("given-up")


# --- asking


def pacs(folder, *arguments):
    program = [sys.executable, "-m", "pacs_core.cli.main", *map(str, arguments)]
    config = ["--config", str(folder / "pacs.toml")]
    return subprocess.run([*program, *config], capture_output=True, text=True, timeout=60)


@contextmanager
def keeper(answer):
    """A peer that is asked: `answer` is called with the association and the request."""
    ae = AE("VNA")
    ae.add_supported_context(StorageCommitmentPushModel)
    asked = Queue()

    def act(event):
        asked.put(event.action_information)
        return answer(event), None

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, act)])
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()


def archive(tmp_path, port, count=2):
    """Make a data directory with instances, and a peer that is asked about them."""
    peers = {"vna": {"ae_title": "VNA", "host": "127.0.0.1", "port": port}}
    modality = Modality()
    with (
        node_thread(tmp_path, {**tables(), "peers": peers}, plugins=PLUGINS) as node,
        modality.associated(node.port) as association,
    ):
        return store(association, count)


def test_a_node_of_ours_is_asked(tmp_path, node, modality):
    stored = archive(tmp_path, node.port)
    with modality.associated(node.port) as association:
        copy = SampleStudy().make("CT", SOPInstanceUID=stored[0][1])
        assert association.send_c_store(pydicom_of(copy)).Status == 0x0000
    asked = pacs(tmp_path, "commit", f"PACS@127.0.0.1:{node.port}", "-k", "Modality=CT")
    assert asked.returncode == 1, asked.stderr
    assert "1 of 2 instances committed" in asked.stdout
    assert f"{stored[1][1]}: 0112H no such instance" in asked.stdout
    assert pacs(tmp_path, "commit", "vna", "-k", "PatientID=nobody").returncode == 1


def test_a_peer_that_refuses(tmp_path):
    with keeper(lambda event: 0x0213) as (port, asked):
        archive(tmp_path, port)
        refused = pacs(tmp_path, "commit", "vna", "-k", "Modality=CT")
        assert refused.returncode == 1
        assert "0213H" in refused.stderr
        assert len(asked.get(timeout=1).ReferencedSOPSequence) == 2
    assert "given-up" in pacs(tmp_path, "commitments", "list").stdout


def test_an_answer_that_comes_later_to_the_node(tmp_path):
    with keeper(lambda event: 0x0000) as (port, asked):
        stored = archive(tmp_path, port)
        sent = pacs(tmp_path, "commit", "vna", "-k", "Modality=CT", "--wait", "0.2")
        assert sent.returncode == 0, sent.stderr
        request = asked.get(timeout=1)
        assert f"no answer yet: pacs commitments show {request.TransactionUID}" in sent.stdout
    with pytest.raises(Empty):
        asked.get_nowait()
    with node_thread(tmp_path, tables(), plugins=PLUGINS) as node:
        other = AE("VNA")
        other.add_requested_context(StorageCommitmentPushModel)
        roles = [build_role(StorageCommitmentPushModel, scp_role=True)]
        association = other.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=roles)
        report = request_of(stored[0], uid=request.TransactionUID)
        status, _ = association.send_n_event_report(
            report, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        assert status.Status == 0x0000
        association.release()
    shown = pacs(tmp_path, "commitments", "show", request.TransactionUID).stdout
    assert "1 of 2 instances committed" in shown
    assert f"{stored[1][1]}: 0110H processing failure" in shown
