"""Storage Commitment (PS3.4 Annex J): asked by pynetdicom and by a node of our own, and asking."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path
from queue import Empty, Queue
from types import SimpleNamespace

import anyio
import pytest
from importlib_metadata import EntryPoint
from pacs_database.testing import new_database, open_database
from pacs_sop_storage_commitment.api import Transactions
from pacs_sop_storage_commitment.database_transactions import DatabaseTransactions
from pacs_store_filesystem.store import FilesystemStore
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from pacs_core.association import Proposal, connect
from pacs_core.cli.main import main
from pacs_core.contracts import InstancePath, Level, Origin, Query, Response, SingleValue
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, node_thread
from pacs_core.testing.waiting import until

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
RULES = Path(__file__).parents[1] / "distributions" / "pacs-rules" / "src"
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
            association.join(PATIENCE)

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
@pytest.mark.filterwarnings("ignore:The value length")
def test_what_modalities_send_besides(node, modality, monkeypatch):
    """UIDs padded by spaces, items twice, references of no instances, and reports half answered."""
    with modality.associated(node.port) as association:
        first, second = store(association, 2)
        wrong_class = (MR, first[1])
        request = request_of(first, first, wrong_class, second)
        request.StorageMediaFileSetID = "MOD1"
        request.ReferencedPerformedProcedureStepSequence = request_of(
            ("1.2.840.10008.3.1.2.3.3", "1.2.3")
        ).ReferencedSOPSequence
        assert ask(association, request) == 0x0000
        assert modality.report() == (2, [first[1], second[1]], {first[1]: 0x0119})
        padded = request_of((CTImageStorage, f"{first[1]} "), uid=f"{generate_uid()} ")
        assert ask(association, padded) == 0x0000
        assert modality.report() == (1, [first[1]], {})
        # A response need not have an Event Type ID (PS3.7 Table 10.1-1: U).
        kind = N_EVENT_REPORT.EventTypeID

        def forget(message, value):
            is_response = message.MessageIDBeingRespondedTo is not None
            kind.fset(message, None if is_response else value)

        monkeypatch.setattr(N_EVENT_REPORT, "EventTypeID", property(kind.fget, forget))
        request = request_of(first)
        assert ask(association, request) == 0x0000
        assert modality.reports.get(timeout=PATIENCE)
    shown = partial(pacs, node.data_directory, "commitments", "show", request.TransactionUID)
    until(lambda: "reported" in shown().stdout)


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
    path = node.data_directory / "audit" / "audit.jsonl"

    def kinds():
        events = map(json.loads, path.read_text().splitlines() if path.exists() else ())
        uid = request.TransactionUID
        return {e["event"] for e in events if e["details"].get("transaction_uid") == uid}

    until(lambda: {"n-service", "sop-storage-commitment.committed"} <= kinds())


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
        until(lambda: word in pacs(tmp_path, "commitments", "list").stdout)

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


# --- what is promised


@pytest.fixture(scope="module")
def lax_node(tmp_path_factory):
    """A node that says what it has before it is on disk, and lets newcomers replace what it has."""
    folder = tmp_path_factory.mktemp("promised")
    archive = {"duplicates": "replace", "durability": "write-behind", "flush_interval": 3600.0}
    config = {**tables(wait=PATIENCE), "archive": archive}
    with node_thread(folder, config, plugins=PLUGINS) as node:
        yield node


def described(node, sample):
    """Return the Study Description of what the node serves of an instance."""
    path = InstancePath(sample.values["StudyInstanceUID"], sample.sop_instance_uid)

    async def read():
        archive = node.node.opened.archive
        dataset = await archive.read_dataset(await archive.locate(path))
        return dataset.get("StudyDescription", "")

    return node.call(read)


def test_what_is_committed_to_is_neither_deleted_nor_replaced(lax_node, modality):
    with modality.associated(lax_node.port) as association:
        study = SampleStudy()
        promised, free = (study.make("CT", StudyDescription="old") for _ in range(2))
        for each in (promised, free):
            assert association.send_c_store(pydicom_of(each)).Status == 0x0000
        request = request_of((CTImageStorage, promised.sop_instance_uid))
        assert ask(association, request) == 0x0000
        assert modality.report() == (1, [promised.sop_instance_uid], {})
        for each in (promised, free):
            other = study.make("CT", SOPInstanceUID=each.sop_instance_uid, StudyDescription="new")
            assert association.send_c_store(pydicom_of(other)).Status == 0x0000
    assert described(lax_node, promised) == "old"
    assert described(lax_node, free) == "new"
    archive = lax_node.node.opened.archive
    named = SingleValue(tag_of("StudyInstanceUID"), study.study_instance_uid)
    delete = partial(archive.delete_all, Query(Level.STUDY, (named,)), Origin("retention"))
    report = lax_node.call(delete)
    today = time.strftime("%Y-%m-%d")
    assert report.instances == 0
    assert {path.sop_instance_uid: why for path, why in report.held.items()} == {
        promised.sop_instance_uid: f"storage-commitment: committed to CT1 on {today}"
    }
    assert lax_node.call(partial(delete, override="ten years old")).instances == 2
    # Whoever asks what was promised is told that it is not kept any more, and so is the modality.
    transactions = lax_node.node.opened.node.find(Transactions)

    async def noted():
        (transaction,) = await transactions.with_uid(request.TransactionUID)
        return transaction

    until(lambda: lax_node.call(noted).note, PATIENCE)
    assert list(lax_node.call(noted).failures.values()) == [0x0112]
    assert not lax_node.call(partial(transactions.promises, [promised.sop_instance_uid]))
    with modality.associated(lax_node.port) as association:
        assert ask(association, request) == 0x0000
        assert modality.report() == (2, [], {promised.sop_instance_uid: 0x0112})


def test_nothing_is_committed_to_before_it_is_flushed(lax_node, modality, monkeypatch):
    """PS3.4 J.3.3: 0213H while it cannot be; then it is on disk before the report is made."""
    flushed, is_broken = [], True
    flush = FilesystemStore.flush

    async def flush_or_fail(self, keys):
        if is_broken:
            raise OSError("the disk does not answer")
        await flush(self, keys)
        flushed.extend(keys)

    monkeypatch.setattr(FilesystemStore, "flush", flush_or_fail)
    with modality.associated(lax_node.port) as association:
        ((_, uid),) = stored = store(association)
        request = request_of(*stored)
        assert ask(association, request) == 0x0000
        assert modality.report() == (2, [], {uid: 0x0213})
        is_broken = False
        assert ask(association, request) == 0x0000
        assert modality.report() == (1, [uid], {})
    assert [key for key in flushed if uid in key]


@pytest.mark.anyio
async def test_64_requestors_at_once(lax_node, modality):
    """Each is told of its own transaction, and of what of it is here (PS3.4 J.3.2, J.3.3)."""
    with modality.associated(lax_node.port) as association:
        stored = [uid for _, uid in store(association, 4)]
    told, door = {}, anyio.CapacityLimiter(8)  # a host may begin few associations at a time
    started, waiting = anyio.Event(), set(range(64))

    async def request(number):
        answered = anyio.Event()

        async def take(operation):
            report = await operation.read_dataset()
            told[number] = (
                str(report.TransactionUID),
                [item.ReferencedSOPInstanceUID for item in report.get("ReferencedSOPSequence", [])],
                [item.FailureReason for item in report.get("FailedSOPSequence", [])],
            )
            answered.set()
            return Response(0x0000, event_type_id=operation.command.event_type_id)

        async with AsyncExitStack() as stack:
            proposals = [Proposal(StorageCommitmentPushModel)]
            opened = connect(lax_node.peer, proposals, calling_ae_title=f"CT{number}", serve=take)
            async with door:
                association = await stack.enter_async_context(opened)
            waiting.discard(number)
            if not waiting:
                started.set()
            await started.wait()
            wanted = request_of(
                (CTImageStorage, stored[number % 4]),
                (CTImageStorage, f"1.2.9.{number}"),
                uid=f"1.3.{number}",
            )
            command, _ = await association.n_action(
                StorageCommitmentPushModel, StorageCommitmentPushModelInstance, 1, wanted
            )
            assert command.status == 0x0000
            await answered.wait()

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(request, number)
    assert told == {n: (f"1.3.{n}", [stored[n % 4]], [0x0112]) for n in range(64)}


def test_ten_thousand_references_in_one_request(lax_node, modality):
    with modality.associated(lax_node.port) as association:
        stored = store(association, 2)
        references = [(CTImageStorage, f"1.2.9.{n}") for n in range(9_998)]
        assert ask(association, request_of(stored[0], *references, stored[1])) == 0x0000
        kind, committed, failed = modality.report()
    assert (kind, committed) == (2, [uid for _, uid in stored])
    assert len(failed) == 9_998
    assert set(failed.values()) == {0x0112}


def test_who_may_see_some_instances_only_is_refused(tmp_path, modality):
    """Whether an instance that he may not see is here must not be found out by asking."""
    rules = [
        {"who": ["CT1"], "may": ["workflow"]},
        {"who": ["MR1"], "may": ["workflow"], "modalities": ["MR"]},
    ]
    point = EntryPoint("rules", "pacs_rules", "pacs_core.plugins")
    config = {**tables(), "plugin": {"rules": {"rule": rules}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(RULES)
        with node_thread(tmp_path, config, plugins=[*PLUGINS, point]) as node:
            for title, status in (("CT1", 0x0000), ("MR1", 0x0124), ("OTHER", 0x0124)):
                with Modality(title).associated(node.port) as association:
                    request = request_of((CTImageStorage, "1.2.3"))
                    assert ask(association, request) == status
    sys.modules.pop("pacs_rules", None)


def test_two_workers_that_share_postgresql_hear_one_transaction_several_times(
    tmp_path, postgresql_url
):
    """The same request by several at once is one transaction; who is first has the UID."""
    url = anyio.run(new_database, postgresql_url)

    async def noted():
        async with open_database(tmp_path, url) as database:
            transactions = DatabaseTransactions(database)
            return await transactions.with_uid(uid), await transactions.promises([stored[0][1]])

    settings = {**tables(), "node": {"workers": 2}, "database": {"url": url}}
    with node_process(tmp_path, settings, plugins=PLUGINS) as node:
        with Modality().associated(node.port) as association:
            stored = store(association, 2)
        uid = generate_uid()
        requests = [request_of(*stored, uid=uid), request_of(stored[0], uid=uid)] * 3
        with ThreadPoolExecutor(len(requests)) as threads:
            reports = list(threads.map(partial(ask_alone, node.port), requests))
    transactions, promises = anyio.run(noted)
    kinds = [kind for kind, _, _ in reports]
    assert kinds in ([1, 2] * 3, [2, 1] * 3)
    refused = {reason for _, _, failed in reports for reason in failed.values()}
    assert refused == {0x0131}
    assert len(transactions) == 2
    assert promises[stored[0][1]].peer == "CT1"


def ask_alone(port, request):
    modality = Modality()
    with modality.associated(port) as association:
        assert ask(association, request) == 0x0000
        return modality.report()


# --- asking


def pacs(folder, *arguments):
    """Run a command in this process, which has imported what takes its time."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*map(str, arguments), "--config", str(folder / "pacs.toml")])
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


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
