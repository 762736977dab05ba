"""One patient's image is never handed out as another's, whatever UIDs devices make up.

pynetdicom sends two studies of two patients in which the same Series Instance UID and the same SOP
Instance UID occur (against PS3.5 §9), and looks at them through every door.
"""

import json
from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from pacs_core.archive import rebuild_index, verify_index
from pacs_core.contracts import InstancePath, Origin
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

EXPLICIT = "1.2.840.10008.1.2.1"
SERIES, INSTANCE = "1.2.8.1", "1.2.9.1"
FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
PATIENT_FIND = PatientRootQueryRetrieveInformationModelFind
PATIENT_GET = PatientRootQueryRetrieveInformationModelGet
PATIENT_MOVE = PatientRootQueryRetrieveInformationModelMove
LAYOUTS = ["{study}/{series}/{instance}.dcm", "{instance}.dcm"]


def image(patient, study, series=SERIES, instance=INSTANCE, **more):
    dataset = Dataset()
    dataset.PatientID = patient
    dataset.PatientName = f"NAME^{patient}"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.SOPInstanceUID = instance
    dataset.SOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    return dataset


ONE, TWO = image("P1", "1.2.1"), image("P2", "1.2.2")
BOTH_WAYS = pytest.mark.parametrize("images", [(ONE, TWO), (TWO, ONE)], ids=["1-2", "2-1"])


def identifier(level, **keys):
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


class Viewer:
    """A pynetdicom peer of a node, which keeps what it is sent."""

    def __init__(self):
        self.received = []

    @contextmanager
    def listening(self):
        ae = AE(ae_title="VIEWER")
        ae.add_supported_context(CTImageStorage, EXPLICIT)
        handlers = [(evt.EVT_C_STORE, self.handle)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()

    def handle(self, event):
        dataset = event.dataset
        self.received.append((dataset.PatientID, dataset.StudyInstanceUID))
        return 0x0000

    @contextmanager
    def association(self, *models):
        ae = AE(ae_title="VIEWER")
        for model in models:
            ae.add_requested_context(model)
        ae.add_requested_context(CTImageStorage, EXPLICIT)
        peer = self.node.peer
        association = ae.associate(
            peer.host,
            peer.port,
            ae_title=peer.ae_title,
            ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, self.handle)],
        )
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def store(self, *images):
        with self.association() as association:
            return [association.send_c_store(image).Status for image in images]

    def find(self, model, level, *keywords, **keys):
        wanted = {**dict.fromkeys(keywords, ""), **keys}
        with self.association(model) as association:
            responses = list(association.send_c_find(identifier(level, **wanted), model))
        assert responses[-1][0].Status == 0x0000
        return sorted(tuple(str(found[k].value) for k in keywords) for _, found in responses[:-1])

    def get(self, model, level, status=0x0000, **keys):
        self.received = []
        with self.association(model) as association:
            statuses = [s for s, _ in association.send_c_get(identifier(level, **keys), model)]
        assert statuses[-1].Status == status
        return sorted(self.received)

    def move(self, model, level, **keys):
        self.received = []
        with self.association(model) as association:
            wanted = identifier(level, **keys)
            statuses = [s for s, _ in association.send_c_move(wanted, "VIEWER", model)]
        assert statuses[-1].Status == 0x0000
        return sorted(self.received)


@pytest.fixture(params=LAYOUTS)
def viewer(request, tmp_path):
    viewer = Viewer()
    with viewer.listening() as port:
        tables = {
            "plugin": {"store-filesystem": {"layout": request.param}},
            "peers": {"viewer": {"ae_title": "VIEWER", "host": "127.0.0.1", "port": port}},
        }
        with node_thread(tmp_path / "data", tables) as viewer.node:
            yield viewer


def check_every_door(viewer):
    """Each patient's study has that patient's image, and no other."""
    for patient, study in (("P1", "1.2.1"), ("P2", "1.2.2")):
        own = [(patient, study)]
        keys = {"StudyInstanceUID": study}
        series = {**keys, "SeriesInstanceUID": SERIES}
        instance = {**series, "SOPInstanceUID": INSTANCE}
        described = "PatientID", "StudyInstanceUID"
        assert viewer.find(FIND, "STUDY", *described, **keys) == own
        assert viewer.find(FIND, "SERIES", *described, **series) == own
        assert viewer.find(FIND, "IMAGE", *described, **instance) == own
        counts = ("NumberOfStudyRelatedInstances", "PatientName")
        assert viewer.find(FIND, "STUDY", *counts, **keys) == [("1", f"NAME^{patient}")]
        assert viewer.find(PATIENT_FIND, "STUDY", *described, PatientID=patient) == own
        assert viewer.get(GET, "STUDY", **keys) == own
        assert viewer.get(GET, "SERIES", **series) == own
        assert viewer.get(GET, "IMAGE", **instance) == own
        assert viewer.get(PATIENT_GET, "PATIENT", PatientID=patient) == own
        assert viewer.get(PATIENT_GET, "IMAGE", PatientID=patient, **instance) == own
        assert viewer.move(PATIENT_MOVE, "STUDY", PatientID=patient, **keys) == own
        assert viewer.move(PATIENT_MOVE, "IMAGE", PatientID=patient, **instance) == own


@BOTH_WAYS
def test_equal_uids_of_two_patients_stay_apart(viewer, images):
    assert viewer.store(*images) == [0x0000, 0x0000]
    check_every_door(viewer)
    # Asked for the UID alone, the node shows both, and sends neither (PS3.4 C.4.3.1.3.1).
    studies = [("1.2.1",), ("1.2.2",)]
    assert viewer.find(FIND, "SERIES", "StudyInstanceUID", SeriesInstanceUID=SERIES) == studies
    assert viewer.get(GET, "IMAGE", 0xA900, SOPInstanceUID=INSTANCE) == []


@BOTH_WAYS
def test_it_stays_so_after_a_rebuild(viewer, images):
    viewer.store(*images)
    opened = viewer.node.node.opened

    async def rebuild():
        report = await rebuild_index(opened.store, opened.index)
        return report.indexed, [d async for d in verify_index(opened.store, opened.index)]

    assert viewer.node.call(rebuild) == (2, [])
    check_every_door(viewer)


def test_duplicates_are_told_within_their_study(viewer):
    assert viewer.store(ONE, TWO, ONE, TWO) == [0x0000] * 4
    assert len(list(viewer.node.data_directory.rglob("*.dcm"))) == 2
    other = image("P1", "1.2.1", PatientComments="other content")
    assert viewer.store(other) == [0x0000]
    assert len(list(viewer.node.data_directory.rglob("*.dcm"))) == 3  # kept, and set aside
    check_every_door(viewer)


def test_one_side_may_go(viewer):
    viewer.store(ONE, TWO)
    archive = viewer.node.node.opened.archive
    viewer.node.call(archive.delete, InstancePath("1.2.1", INSTANCE), Origin("test"))
    assert viewer.get(GET, "IMAGE", SOPInstanceUID=INSTANCE) == [("P2", "1.2.2")]
    assert viewer.store(ONE) == [0x0000]
    check_every_door(viewer)


def test_study_of_two_patients(viewer):
    """PS3.3 A.1.2: a study is of one patient. Each gets the part that bears its name."""
    viewer.store(
        image("P1", "1.2.5", "1.2.8.5", "1.2.9.5"), image("P2", "1.2.5", "1.2.8.5", "1.2.9.6")
    )
    for patient in ("P1", "P2"):
        keys = {"PatientID": patient, "StudyInstanceUID": "1.2.5"}
        named = viewer.find(PATIENT_FIND, "STUDY", "PatientName", **keys)
        assert named == [(f"NAME^{patient}",)]
        assert viewer.get(PATIENT_GET, "STUDY", **keys) == [(patient, "1.2.5")]
    both = [("P1", "1.2.5"), ("P2", "1.2.5")]
    assert viewer.get(GET, "STUDY", StudyInstanceUID="1.2.5") == both


def test_each_study_has_its_own_name(viewer):
    """Of studies with one Patient ID each is found by, and returns, the name that it came with."""
    for number, name in enumerate(("ROE^ANN", "DOE^JANE", "POE^EDGAR")):
        viewer.store(image("P1", f"1.2.{number}", "1.2.8", f"1.2.9.{number}", PatientName=name))
    for number, name in enumerate(("ROE^ANN", "DOE^JANE", "POE^EDGAR")):
        found = viewer.find(FIND, "STUDY", "StudyInstanceUID", PatientName=name)
        assert found == [(f"1.2.{number}",)]
        names = viewer.find(FIND, "SERIES", "PatientName", StudyInstanceUID=f"1.2.{number}")
        assert names == [(name,)]


def test_collisions_are_audited_once(viewer):
    viewer.store(ONE, TWO, TWO, image("P1", "1.2.3"))
    viewer.node.call(viewer.node.node.opened.node.audit.stop)
    events = []
    for path in viewer.node.data_directory.rglob("audit.jsonl"):
        if path.is_file():
            events += [json.loads(line) for line in path.read_text().splitlines()]
    conflicts = [e["details"] for e in events if e.get("kind", e.get("event")) == "conflict"]
    assert [(c["conflict"], c["uid"]) for c in conflicts] == [
        ("series", SERIES),
        ("instance", INSTANCE),
    ]


VARIED = [
    image("P1", "1.2.1", "1.2.8.1", "1.2.9.1", StudyDate="20240102", StudyDescription="HEAD"),
    image("P1", "1.2.1", "1.2.8.1", "1.2.9.2", StudyDate="20240101", SeriesDescription="A"),
    image("P1", "1.2.1", "1.2.8.2", "1.2.9.3", PatientName="OTHER", StudyDescription="CHEST"),
    image("P1", "1.2.2", "1.2.8.1", "1.2.9.1", PatientName="THIRD", PatientBirthDate="19500101"),
    image("P2", "1.2.1", "1.2.8.2", "1.2.9.4", SeriesDescription="B"),
]
ANSWERED = (
    *("PatientID", "PatientName", "PatientBirthDate"),
    *("StudyInstanceUID", "StudyDate", "StudyDescription", "NumberOfStudyRelatedInstances"),
)


def answers(viewer):
    """Return what the node answers to universal queries of each level."""
    return [
        viewer.find(PATIENT_FIND, "PATIENT", *ANSWERED[:3]),
        viewer.find(FIND, "STUDY", *ANSWERED),
        viewer.find(FIND, "SERIES", *ANSWERED, "SeriesInstanceUID", "SeriesDescription"),
        viewer.find(FIND, "IMAGE", *ANSWERED, "SeriesInstanceUID", "SOPInstanceUID"),
        *(viewer.find(FIND, "STUDY", *ANSWERED, PatientName=n) for n in ("OTHER", "NAME*")),
        viewer.find(FIND, "STUDY", *ANSWERED, StudyDate="20240102"),
    ]


def test_neither_order_nor_rebuild_changes_an_answer(viewer):
    archive = viewer.node.node.opened.archive
    opened = viewer.node.node.opened
    seen = []
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]):
        images = [VARIED[n] for n in order]
        assert viewer.store(*images) == [0x0000] * len(VARIED)
        seen.append(answers(viewer))
        viewer.node.call(rebuild_index, opened.store, opened.index)
        seen.append(answers(viewer))
        for each in images:
            path = InstancePath(each.StudyInstanceUID, each.SOPInstanceUID)
            viewer.node.call(archive.delete, path, Origin("test"))
        assert viewer.find(FIND, "STUDY", "StudyInstanceUID") == []
    assert all(each == seen[0] for each in seen)
    assert len(seen[0][1]) == 3
