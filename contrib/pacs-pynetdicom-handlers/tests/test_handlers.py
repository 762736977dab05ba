"""The server of ``server.py`` in a node, asked by pynetdicom and DCMTK over the network."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pacs_core.dataset import decode_dataset
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import NodeThread
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    ModalityPerformedProcedureStep,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StorageCommitmentPushModel,
    Verification,
)

NAME = "pynetdicom-handlers"
SERVER = Path(__file__).parent / "server.py"
EXPLICIT = "1.2.840.10008.1.2.1"
needs_dcmtk = pytest.mark.skipif(not shutil.which("storescu"), reason="needs DCMTK")


@pytest.fixture
def received() -> list[Dataset]:
    return []


@pytest.fixture
def destination(received: list[Dataset]) -> Iterator[int]:
    """Run a storage SCP that C-MOVE can send to; return its port."""

    def on_store(event: evt.Event) -> int:
        received.append(event.dataset)
        return 0x0000

    ae = AE("DEST")
    ae.add_supported_context(CTImageStorage, EXPLICIT)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)]
    )
    assert server is not None
    assert server.socket is not None
    yield server.socket.getsockname()[1]
    server.shutdown()


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    folder = tmp_path / "storage"
    folder.mkdir()
    return folder


@pytest.fixture
def node(
    pacs_node: Callable[..., NodeThread],
    storage: Path,
    destination: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[NodeThread]:
    monkeypatch.setenv("HANDLERS_STORAGE", str(storage))
    monkeypatch.setenv("HANDLERS_DESTINATION", str(destination))
    yield pacs_node({"plugin": {NAME: {"file": str(SERVER)}}}, plugins=[NAME])
    sys.modules.pop("server", None)


@pytest.fixture
def server(node: NodeThread) -> Any:
    return sys.modules["server"]


@pytest.fixture
def associate(node: NodeThread) -> Iterator[Callable[..., Any]]:
    """Associate by pynetdicom."""
    open_associations = []

    def connect(*sop_classes: str, **options: Any) -> Any:
        ae = AE("MODALITY")
        for uid in sop_classes:
            ae.add_requested_context(uid, EXPLICIT)
        association = ae.associate("127.0.0.1", node.port, ae_title="PACS", **options)
        assert association.is_established
        open_associations.append(association)
        return association

    yield connect
    for association in open_associations:
        association.release()


def ct(**values: str) -> Dataset:
    """Return a CT image as its modality would send it."""
    dataset = decode_dataset(SampleStudy().make("CT", **values).encode(), EXPLICIT)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def query(**values: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "PATIENT"
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


def test_echo_knows_who_asks(associate: Callable[..., Any], server: Any) -> None:
    assert associate(Verification).send_c_echo().Status == 0x0000
    assert server.SEEN == [("MODALITY", "127.0.0.1", True, "EVT_C_ECHO")]


def test_store_writes_files(associate: Callable[..., Any], storage: Path) -> None:
    dataset = ct(PatientID="P1")
    association = associate(CTImageStorage)
    assert association.send_c_store(dataset).Status == 0x0000
    (path,) = storage.iterdir()
    stored = dcmread(path)
    assert stored == dataset
    assert stored.PixelData == dataset.PixelData
    del dataset.PatientID
    status = association.send_c_store(dataset)
    assert (status.Status, status.ErrorComment) == (0xA900, "a patient needs an ID")
    assert status.OffendingElement == 0x00100020


def test_find_gives_matches(associate: Callable[..., Any]) -> None:
    association = associate(CTImageStorage, PatientRootQueryRetrieveInformationModelFind)
    names = ["Doe^Jane", "Müller^Jürgen"]
    for number, name in enumerate(names):
        dataset = ct(PatientID=f"P{number}")
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", name
        assert association.send_c_store(dataset).Status == 0x0000
    find = PatientRootQueryRetrieveInformationModelFind
    found = list(association.send_c_find(query(PatientID=""), find))
    assert [status.Status for status, _ in found] == [0xFF00, 0xFF00, 0x0000]
    assert sorted(str(each.PatientName) for _, each in found[:-1]) == names
    (_, one), final = association.send_c_find(query(PatientID="P0"), find)
    assert one.PatientName == "Doe^Jane"
    assert final[0].Status == 0x0000
    without_level = query(PatientID="P0")
    del without_level.QueryRetrieveLevel
    ((failure, _),) = association.send_c_find(without_level, find)
    assert failure.Status == 0xC000


def test_a_fault_in_a_handler_is_pynetdicoms_status(associate: Callable[..., Any]) -> None:
    association = associate(PatientRootQueryRetrieveInformationModelFind)
    find = PatientRootQueryRetrieveInformationModelFind
    ((failure, _),) = association.send_c_find(query(PatientID="FAULT"), find)
    assert failure.Status == 0xC311
    assert [s.Status for s, _ in association.send_c_find(query(PatientID="none"), find)] == [0]


def test_find_is_cancelled(associate: Callable[..., Any], server: Any) -> None:
    association = associate(PatientRootQueryRetrieveInformationModelFind)
    find = PatientRootQueryRetrieveInformationModelFind
    statuses = []
    for status, _ in association.send_c_find(query(PatientID="SLOW"), find, msg_id=7):
        statuses.append(status.Status)
        if len(statuses) == 2:
            association.send_c_cancel(7, query_model=find)
    assert statuses[-1] == 0xFE00
    assert server.SEEN == ["cancelled"]


def test_a_generator_ends_with_its_association(associate: Callable[..., Any], server: Any) -> None:
    association = associate(PatientRootQueryRetrieveInformationModelFind)
    find = PatientRootQueryRetrieveInformationModelFind
    responses = association.send_c_find(query(PatientID="SLOW"), find)
    next(responses)
    association.abort()
    association = associate(Verification)
    assert association.send_c_echo().Status == 0x0000
    assert "cancelled" not in server.SEEN


def test_get_sends_on_the_same_association(associate: Callable[..., Any]) -> None:
    get = PatientRootQueryRetrieveInformationModelGet
    received = []

    def on_store(event: evt.Event) -> int:
        received.append(event.dataset)
        return 0xA700 if event.dataset.InstanceNumber == 2 else 0x0000

    association = associate(
        CTImageStorage,
        get,
        ext_neg=[build_role(CTImageStorage, scp_role=True, scu_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, on_store)],
    )
    study = [ct(PatientID="P1", InstanceNumber=str(number)) for number in (1, 2)]
    for dataset in study:
        assert association.send_c_store(dataset).Status == 0x0000
    found = list(association.send_c_get(query(PatientID="P1"), get))
    assert sorted(each.SOPInstanceUID for each in received) == sorted(
        each.SOPInstanceUID for each in study
    )
    final, identifier = found[-1]
    assert final.Status == 0xB000
    assert (final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (1, 1)
    assert identifier.FailedSOPInstanceUIDList == study[1].SOPInstanceUID


def test_move_sends_to_the_destination(
    associate: Callable[..., Any], received: list[Dataset]
) -> None:
    move = PatientRootQueryRetrieveInformationModelMove
    association = associate(CTImageStorage, move)
    dataset = ct(PatientID="P1")
    assert association.send_c_store(dataset).Status == 0x0000
    *_, (final, _) = association.send_c_move(query(PatientID="P1"), "DEST", move)
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 1)
    assert [each.SOPInstanceUID for each in received] == [dataset.SOPInstanceUID]
    *_, (final, _) = association.send_c_move(query(PatientID="P1"), "NOWHERE", move)
    assert final.Status == 0xA801


def test_mpps(associate: Callable[..., Any], server: Any) -> None:
    mpps = ModalityPerformedProcedureStep
    association = associate(mpps)
    step = Dataset()
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.PatientName = "Doe^Jane"
    status, created = association.send_n_create(step, mpps, "1.2.3")
    assert (status.Status, created.PatientName) == (0x0000, "Doe^Jane")
    assert association.send_n_create(step, mpps, "1.2.3")[0].Status == 0x0111
    change = Dataset()
    change.PerformedProcedureStepStatus = "COMPLETED"
    status, changed = association.send_n_set(change, mpps, "1.2.3")
    assert (status.Status, changed.PerformedProcedureStepStatus) == (0x0000, "COMPLETED")
    assert association.send_n_set(change, mpps, "1.2.4")[0].Status == 0x0112
    assert association.send_n_delete(mpps, "1.2.3").Status == 0x0211
    assert server.managed_instances["1.2.3"].PerformedProcedureStepStatus == "COMPLETED"


def test_events_are_reported_on_the_association(associate: Callable[..., Any], server: Any) -> None:
    reports = []

    def on_report(event: evt.Event) -> tuple[int, None]:
        reports.append(event.event_information.TransactionUID)
        return 0x0000, None

    association = associate(
        StorageCommitmentPushModel, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)]
    )
    information = Dataset()
    information.TransactionUID = "1.2.3"
    status, _ = association.send_n_action(
        information, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1"
    )
    assert status.Status == 0x0000
    assert reports == ["1.2.3"]
    assert server.SEEN == [("reported", 0x0000)]


@needs_dcmtk
def test_dcmtk_stores_finds_and_moves(
    node: NodeThread, storage: Path, received: list[Dataset], tmp_path: Path
) -> None:
    sample = ct(PatientID="P1", PatientName="Doe^Jane")
    path = tmp_path / "ct.dcm"
    sample.save_as(path, enforce_file_format=True)
    address = ["-aec", "PACS", "127.0.0.1", str(node.port)]

    def run(*command: str | Path) -> str:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout + finished.stderr

    run("echoscu", *address)
    run("storescu", *address, path)
    assert [each.name for each in storage.iterdir()] == [f"{sample.SOPInstanceUID}.dcm"]
    keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=P1"]
    assert "Doe^Jane" in run("findscu", "-P", *keys, "-k", "PatientName", *address)
    run("movescu", "-P", "-aem", "DEST", *keys, *address)
    assert [each.PatientName for each in received] == ["Doe^Jane"]
    folder = tmp_path / "got"
    folder.mkdir()
    run("getscu", "-P", "-od", folder, *keys, *address)
    assert len(list(folder.iterdir())) == 1
