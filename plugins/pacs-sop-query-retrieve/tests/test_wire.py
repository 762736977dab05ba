"""A whole node, and pynetdicom as an independent peer that stores, queries and retrieves."""

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from pacs_core.testing.node import node_thread

CT = "1.2.840.10008.5.1.4.1.1.2"
PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
COUNT = 5


def dataset(number: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = f"1.2.826.1.1.{number}"
    ds.StudyInstanceUID = "1.2.826.1"
    ds.SeriesInstanceUID = "1.2.826.1.1"
    ds.PatientID = "P1"
    ds.PatientName = "Müller^Jörg"
    ds.StudyDate = "20200131"
    ds.StudyTime = "103000"
    ds.Modality = "CT"
    ds.InstanceNumber = str(number)
    ds.Rows = ds.Columns = 256
    ds.BitsAllocated = 16
    ds.PixelData = bytes([number]) * (1 << (13 + 2 * number))
    return ds


def keys(level: str, **values: str | list[str]) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


class Viewer:
    """The peer: requestor of everything, and Storage SCP for what comes back."""

    def __init__(self):
        self.received = {}
        self.originators = set()
        self.cancels = False
        self.ae = AE("VIEWER")
        self.ae.add_supported_context(CT, ExplicitVRLittleEndian)
        for uid in (CT, FIND, PATIENT_FIND, MOVE, GET):
            self.ae.add_requested_context(uid, ExplicitVRLittleEndian)
        self.handlers = [(evt.EVT_C_STORE, self.store)]
        self.server = self.ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=self.handlers
        )
        self.port = self.server.socket.getsockname()[1]

    def store(self, event):
        request = event.request
        self.received[str(request.AffectedSOPInstanceUID)] = request.DataSet.getvalue()
        self.originators.add(request.MoveOriginatorApplicationEntityTitle)
        if self.cancels:
            event.assoc.send_c_cancel(1, query_model=GET)
        return 0x0000

    def associate(self, port, *negotiation):
        assoc = self.ae.associate(
            "127.0.0.1",
            port,
            ae_title="PACS",
            ext_neg=[build_role(CT, scu_role=True, scp_role=True), *negotiation],
            evt_handlers=self.handlers,
        )
        assert assoc.is_established
        return assoc


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A node that holds some instances, and the viewer that it knows."""
    viewer = Viewer()
    peers = {"viewer": {"ae_title": "VIEWER", "host": "127.0.0.1", "port": viewer.port}}
    folder = tmp_path_factory.mktemp("node")
    plugin = {"sop-query-retrieve": {"pending_interval": 0.0}}
    with node_thread(folder, {"peers": peers, "plugin": plugin}) as node:
        assoc = viewer.associate(node.port)
        for number in range(COUNT):
            assert assoc.send_c_store(dataset(number)).Status == 0x0000
        assoc.release()
        yield node, viewer
    viewer.server.shutdown()


@pytest.fixture
def association(world):
    node, viewer = world
    viewer.received.clear()
    viewer.originators.clear()
    assoc = viewer.associate(node.port)
    yield assoc
    assoc.release()


def test_c_find_on_the_wire(association):
    query = keys("STUDY", PatientName="m?ller*", StudyInstanceUID="", StudyDate="")
    query.SpecificCharacterSet = "ISO_IR 100"
    query.NumberOfStudyRelatedInstances = ""
    [(status, found), (final, nothing)] = list(association.send_c_find(query, FIND))
    assert (status.Status, final.Status, nothing) == (0xFF00, 0x0000, None)
    assert found.StudyInstanceUID == "1.2.826.1"
    assert found.PatientName == "Müller^Jörg"
    assert found.NumberOfStudyRelatedInstances == COUNT
    assert found.RetrieveAETitle == "PACS"
    assert found.SpecificCharacterSet == "ISO_IR 100"


@pytest.mark.parametrize(
    ("wanted", "is_found"),
    [
        ({"StudyDate": "20200131"}, True),
        ({"StudyDate": "20200130"}, False),
        ({"StudyDate": "20200101-"}, True),
        ({"StudyDate": "-20200130"}, False),
        ({"StudyTime": "1030"}, True),
        ({"StudyTime": "103000.000"}, True),
        ({"StudyTime": "1031"}, False),
        ({"StudyTime": "10-11"}, True),
        ({"ModalitiesInStudy": "CT"}, True),
        ({"ModalitiesInStudy": ["MR", "CT"]}, True),
        ({"ModalitiesInStudy": ["MR", "US"]}, False),
        ({"PatientID": "P?"}, True),
        ({"PatientID": "p1"}, False),
        ({"PatientID": ["P1", "P2"]}, True),
        ({"PatientName": "*"}, True),
        ({"PatientName": "MULLER*"}, False),
        ({"AccessionNumber": '""'}, True),
        ({"PatientID": '""'}, False),
        ({"StudyInstanceUID": ["1.2.3", "1.2.826.1"]}, True),
        ({"StudyInstanceUID": "1.2.3"}, False),
    ],
)
def test_matching_on_the_wire(association, wanted, is_found):
    """PS3.4 C.2.2.2, through to the index."""
    *matches, (final, _) = association.send_c_find(keys("STUDY", **wanted), FIND)
    assert final.Status == 0x0000
    assert len(matches) == is_found


def test_c_find_error_on_the_wire(association):
    [(status, _)] = list(association.send_c_find(keys("PATIENT"), FIND))
    assert status.Status == 0xA900
    assert "Query/Retrieve Level" in status.ErrorComment
    assert status.OffendingElement == 0x00080052


def test_series_of_all_studies_are_found_though_nothing_was_negotiated(association):
    """PS3.4 C.4.1.2.2.2, as many viewers expect it."""
    *found, (final, _) = list(association.send_c_find(keys("SERIES", SeriesInstanceUID=""), FIND))
    assert final.Status == 0x0000
    assert {match.SeriesInstanceUID for _, match in found} == {"1.2.826.1.1"}


def test_relational_query_is_negotiated_on_the_wire(world):
    node, viewer = world
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = FIND
    item.service_class_application_information = b"\x01\x01\x01"
    assoc = viewer.associate(node.port, item)
    assert assoc.acceptor.sop_class_extended == {FIND: b"\x01\x01\x00"}
    found = list(assoc.send_c_find(keys("IMAGE", SOPInstanceUID="1.2.826.1.1.2"), FIND))
    assoc.release()
    assert [status.Status for status, _ in found] == [0xFF00, 0x0000]


def test_c_get_on_the_wire(association, world):
    _, viewer = world
    query = keys("STUDY", StudyInstanceUID="1.2.826.1")
    *pending, (final, _) = association.send_c_get(query, GET)
    assert final.Status == 0x0000
    assert final.NumberOfCompletedSuboperations == COUNT
    assert [s.NumberOfRemainingSuboperations for s, _ in pending] == [4, 3, 2, 1, 0]
    assert_all_received(viewer)
    assert viewer.originators == {None}


def test_c_cancel_of_a_c_get_on_the_wire(association, world, monkeypatch):
    """PS3.4 C.4.3.2.3: sent before the answer to the first sub-operation, it is the last."""
    _, viewer = world
    monkeypatch.setattr(viewer, "cancels", True)
    query = keys("STUDY", StudyInstanceUID="1.2.826.1")
    *_, (final, _) = association.send_c_get(query, GET, msg_id=1)
    assert final.Status == 0xFE00
    assert final.NumberOfRemainingSuboperations == COUNT - 1
    assert len(viewer.received) == 1


def test_c_move_on_the_wire(association, world):
    _, viewer = world
    query = keys("STUDY", StudyInstanceUID="1.2.826.1")
    *pending, (final, _) = association.send_c_move(query, "VIEWER", MOVE)
    assert final.Status == 0x0000
    assert final.NumberOfCompletedSuboperations == COUNT
    assert [s.NumberOfCompletedSuboperations for s, _ in pending] == [1, 2, 3, 4, 5]
    assert_all_received(viewer)
    assert viewer.originators == {"VIEWER"}


def test_c_move_to_an_unknown_destination_on_the_wire(association):
    query = keys("STUDY", StudyInstanceUID="1.2.826.1")
    [(status, _)] = list(association.send_c_move(query, "NOBODY", MOVE))
    assert status.Status == 0xA801


def assert_all_received(viewer):
    assert set(viewer.received) == {f"1.2.826.1.1.{number}" for number in range(COUNT)}
    for number in range(COUNT):
        data = viewer.received[f"1.2.826.1.1.{number}"]
        assert data.endswith(bytes(dataset(number).PixelData))
