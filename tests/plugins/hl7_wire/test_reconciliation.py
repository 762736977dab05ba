"""Patients reconciled (IHE RAD TF-1 6), as every door shows them."""

import json
import re

import httpx
import pytest
from pacs_sop_mpps.testing import sample_attributes as sample_performed
from pacs_sop_ups.testing import sample_attributes as sample_procedure
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role, evt

from pacs_core.api.commands import main
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    decode_dataset,
    encode_attributes,
    tag_of,
)

from .conftest import Sender, hl7_node, message, port_of

WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS, MPPS_RETRIEVE = "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.3.1.2.3.4"
UPS_PUSH, UPS_QUERY = "1.2.840.10008.5.1.4.34.6.1", "1.2.840.10008.5.1.4.34.6.5"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
PLUGINS = (
    "sop-worklist", "sop-mpps", "sop-ups", "sop-query-retrieve", "web", "dicomweb",
)  # fmt: skip
STUDY, SERIES = "1.2.826.0.1.17.1", "1.2.826.0.1.17.1.1"

pytestmark = [
    pytest.mark.peer,
    # pynetdicom fails in a thread of its own if an association ends while it answers.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Destination:
    """Receives what is moved."""

    def __init__(self):
        ae = AE("DEST")
        ae.add_supported_context(CTImageStorage)
        self.received = []
        handlers = [(evt.EVT_C_STORE, self.take)]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self.server.socket.getsockname()[1]

    def take(self, event):
        dataset = event.dataset
        self.received.append(dataset)
        return 0


@pytest.fixture(scope="module")
def destination():
    receiver = Destination()
    yield receiver
    receiver.server.shutdown()


@pytest.fixture(scope="module")
def serve(destination, tmp_path_factory):
    """Return a function that starts the node of this module, always on the same files."""
    folder = tmp_path_factory.mktemp("reconciled") / "node"
    peers = {"dest": {"ae_title": "DEST", "host": "127.0.0.1", "port": destination.port}}

    def serve():
        return hl7_node(
            folder,
            {"domains": {"HOSPITAL": ""}},
            PLUGINS,
            peers=peers,
            archive={"space": {"reserve": 0}},
        )

    serve.config = ("--config", str(folder / "pacs.toml"))
    return serve


def image(number, patient="TRAUMA-1", study=STUDY, other_id=""):
    ct = Dataset()
    ct.SOPClassUID, ct.SOPInstanceUID = CTImageStorage, f"{study}.1.{number}"
    ct.StudyInstanceUID, ct.SeriesInstanceUID = study, f"{study}.1"
    ct.PatientID, ct.PatientName, ct.PatientBirthDate, ct.PatientSex = patient, "Doe^John", "", ""
    ct.Modality, ct.StudyDate, ct.StudyTime, ct.AccessionNumber = "CT", "20261128", "", "A1"
    if other_id:
        item = Dataset()
        item.PatientID, item.TypeOfPatientID = other_id, "RFID"
        ct.OtherPatientIDsSequence = [item]
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ct


def of_patient(attributes, patient):
    """Return sample attributes as of a patient."""
    changed = {**attributes, tag_of("PatientID"): (patient,), tag_of("PatientName"): ("Doe^John",)}
    changed[tag_of("IssuerOfPatientID")] = ()
    encoded = encode_attributes(changed, EXPLICIT_VR_LITTLE_ENDIAN, ())
    return decode_dataset(encoded, EXPLICIT_VR_LITTLE_ENDIAN)


class Site:
    """The systems around a node: modality, workstation, browser."""

    def __init__(self, node, destination):
        self.node, self.destination = node, destination
        ae = AE("MODALITY")
        for uid in (WORKLIST, MPPS, MPPS_RETRIEVE, UPS_PUSH, UPS_QUERY, FIND, MOVE, GET):
            ae.add_requested_context(uid)
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        roles = [build_role(CTImageStorage, scp_role=True, scu_role=True)]
        self.got = []
        handlers = [(evt.EVT_C_STORE, lambda event: self.got.append(event.dataset) or 0)]
        self.association = ae.associate(
            "127.0.0.1", node.port, ext_neg=roles, ae_title="PACS", evt_handlers=handlers
        )
        assert self.association.is_established
        web = node.node.service_sockets["web"][0].getsockname()[1]
        self.web = httpx.Client(base_url=f"http://127.0.0.1:{web}/dicom-web", timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.web.close()
        self.association.release()

    def store(self, *images):
        assert [self.association.send_c_store(each).Status for each in images] == [0] * len(images)

    def perform(self, patient):
        """Begin a performed step (RAD-6), as a modality that has this identifier."""
        uid = generate_uid()
        created = of_patient(sample_performed(), patient)
        assert self.association.send_n_create(created, MPPS, uid)[0].Status == 0
        return uid

    def ask_for_work(self, patient):
        uid = generate_uid()
        created = of_patient(sample_procedure(), patient)
        assert self.association.send_n_create(created, UPS_PUSH, uid)[0].Status in (0, 0xB300)
        return uid

    def find(self, model, **keys):
        query = Dataset()
        for keyword, value in keys.items():
            setattr(query, keyword, value)
        return [found for _, found in self.association.send_c_find(query, model) if found]

    def get(self, study=STUDY):
        """Return the instances of a study, by C-GET."""
        query = Dataset()
        query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study
        self.got.clear()
        list(self.association.send_c_get(query, GET))
        return sorted(self.got, key=lambda each: each.SOPInstanceUID)

    def move(self, study=STUDY):
        query = Dataset()
        query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study
        self.destination.received.clear()
        list(self.association.send_c_move(query, "DEST", MOVE))
        return self.destination.received

    def patients(self, steps, work):
        """Return the Patient IDs that each door tells."""
        study = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY, "PatientID": ""}
        qido = self.web.get("/studies", params={"StudyInstanceUID": STUDY}).json()
        metadata = self.web.get(f"/studies/{STUDY}/metadata").json()
        wado = self.web.get(
            f"/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1",
            headers={"Accept": 'multipart/related; type="application/dicom"'},
        ).content
        retrieved = [
            self.association.send_n_get([0x00100010, 0x00100020], MPPS_RETRIEVE, uid)[1]
            for uid in steps
        ]
        listed = self.find(WORKLIST, PatientID="", ScheduledProcedureStepSequence=[Dataset()])
        found = self.find(UPS_QUERY, PatientID="", SOPInstanceUID=work)
        return {
            "C-FIND": {each.PatientID for each in self.find(FIND, **study)},
            "C-GET": {each.PatientID for each in self.get()},
            "C-MOVE": {each.PatientID for each in self.move()},
            "QIDO": {each["00100020"]["Value"][0] for each in qido},
            "metadata": {each["00100020"]["Value"][0] for each in metadata},
            # The first is that of the dataset itself.
            "WADO": {re.findall(rb"\x10\0\x20\0LO..([A-Z0-9-]+)", wado, re.DOTALL)[0].decode()},
            "worklist": {each.PatientID for each in listed},
            "MPPS": {each.PatientID for each in retrieved},
            "UPS": {each.PatientID for each in found},
        }


def everywhere(patient):
    names = "C-FIND C-GET C-MOVE QIDO metadata WADO worklist MPPS UPS"
    return {door: {patient} for door in names.split()}


def test_an_unidentified_patient_is_found_under_the_right_identifier_at_every_door(
    serve, destination, capsys
):
    """Use case of RAD TF-1 6.3: imaged as TRAUMA-1, then known as 4711; and back again."""
    order = message(
        "ORM^O01", "O1", "PID|1||TRAUMA-1^^^HOSPITAL||Doe^John", "ORC|NW|P1|F1",
        "OBR|1|P1|F1|CTH^CT Head||||||||||||||A1|RP1|SPS1||||CT", f"ZDS|{STUDY}",
    )  # fmt: skip
    merge = message(
        "ADT^A40", "M1", "PID|1||4711^^^HOSPITAL||Roe^Jane||19700101|F", "MRG|TRAUMA-1^^^HOSPITAL"
    )
    with serve() as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        assert his.send(order) == [("AA", "O1")]
        site.store(image(1), image(2, other_id="TAG-9"))
        steps, work = [site.perform("TRAUMA-1")], site.ask_for_work("TRAUMA-1")
        assert site.patients(steps, work) == everywhere("TRAUMA-1")

        assert his.send(merge) == [("AA", "M1")]
        assert site.patients(steps, work) == everywhere("4711")
        # The modality goes on with what it was given.
        site.store(image(3))
        steps.append(site.perform("TRAUMA-1"))
        late = message("ORM^O01", "O2", *order.split("\r")[1:-1]).replace("RP1|SPS1", "RP1|SPS2")
        assert his.send(late) == [("AA", "O2")]
        assert site.patients(steps, work) == everywhere("4711")
        # What comes again under another control ID is known.
        assert his.send(merge.replace("M1|", "M2|")) == [("AA", "M2")]
        for each, others in zip(site.get(), ([], ["TAG-9"], []), strict=True):
            (original,) = each.OriginalAttributesSequence
            assert original.ModifiedAttributesSequence[0].PatientID == "TRAUMA-1"
            assert original.ReasonForTheAttributeModification == "COERCE"
            found = [item.PatientID for item in each.OtherPatientIDsSequence]
            assert found == [*others, "TRAUMA-1"]
        (study,) = site.find(FIND, QueryRetrieveLevel="STUDY", PatientID="4711", PatientName="")
        assert str(study.PatientName) == "Roe^Jane"

    assert main(["index", "rebuild", *serve.config]) == 0
    with serve() as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        assert site.patients(steps, work) == everywhere("4711")
        capsys.readouterr()
        assert (
            main(["hl7", "list", "--patient", "4711^^^HOSPITAL", "--limit", "9", *serve.config])
            == 0
        )
    with serve():
        pass
    capsys.readouterr()
    assert main(["hl7", "undo", "2", *serve.config]) == 0
    assert "undone: " in capsys.readouterr().out
    with serve() as node, Site(node, destination) as site:
        doors = site.patients(steps[:1], work)
        # The order that came after the merge was made for the one who remained.
        assert doors.pop("worklist") == {"TRAUMA-1", "4711"}
        assert doors == {k: v for k, v in everywhere("TRAUMA-1").items() if k in doors}
        assert not any("OtherPatientIDsSequence" in each for each in site.get()[::2])
    assert main(["hl7", "replay", "2", *serve.config]) == 0
    with serve() as node, Site(node, destination) as site:
        assert site.patients(steps, work) == everywhere("4711")


def test_links_leave_both_patients_and_say_that_they_are_one(serve, destination):
    """A24 and A37: Other Patient IDs Sequence of each names the other."""
    one, two = "1.2.826.0.1.17.21", "1.2.826.0.1.17.22"
    pair = ("PID|1||L1^^^HOSPITAL", "PV1|1", "PID|2||L2^^^HOSPITAL~L2C^^^CITY", "PV1|2")

    def others(site):
        (first,), (second,) = site.get(one), site.get(two)
        return [
            [
                (item.PatientID, item.get("IssuerOfPatientID"))
                for item in each.OtherPatientIDsSequence
            ]
            if "OtherPatientIDsSequence" in each
            else []
            for each in (first, second)
        ]

    with serve() as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        site.store(image(1, "L1", one), image(1, "L2", two))
        assert his.send(message("ADT^A24", "K1", *pair)) == [("AA", "K1")]
        assert others(site) == [[("L2", None), ("L2C", "CITY")], [("L1", None)]]
        assert [each.PatientID for each in (*site.get(one), *site.get(two))] == ["L1", "L2"]
        assert his.send(message("ADT^A24", "K2", *pair)) == [("AA", "K2")]
        assert his.send(message("ADT^A37", "K3", *pair)) == [("AA", "K3")]
        assert others(site) == [[], []]
        assert his.send(message("ADT^A37", "K4", *pair)) == [("AE", "K4")]
        assert his.send(message("ADT^A24", "K5", pair[0])) == [("AE", "K5")]


def test_merges_that_contradict_each_other_are_answered_and_listed(serve, capsys):
    def merge(control_id, prior, target):
        segments = (f"PID|1||{target}^^^HOSPITAL", f"MRG|{prior}^^^HOSPITAL")
        return message("ADT^A40", control_id, *segments)

    with serve() as node, Sender(port_of(node)) as his:
        answers = his.send(
            merge("C1", "CA", "CB"),  # of somebody whom nobody knows: for what may come
            merge("C2", "CA", "CC"),  # merged already
            merge("C3", "CC", "CA"),  # into one that is no more
            merge("C4", "CB", "CA"),  # a circle
            merge("C5", "CD", "CD"),
            merge("C6", "CA", "CB"),  # the same again
            merge("C7", "CB", "CE"),  # a chain is none
        )
        assert [code for code, _ in answers] == ["AA", "AE", "AE", "AE", "AE", "AA", "AA"]
        his.write(b"\x0b" + merge("C8", "CB", "CA").encode() + b"\x1c\r")
        answer = his.answer()
        assert answer["MSA"][1] == "AE"
        assert answer["ERR"][3].startswith("205^")
        assert "CB was merged into" in answer["MSA"][3] or "before" in answer["MSA"][3]
    capsys.readouterr()
    assert main(["hl7", "conflicts", *serve.config]) == 0
    listed = [line.split()[4:6] for line in capsys.readouterr().out.splitlines()[1:9]]
    kinds = [line[1] if line[0].startswith("ADT") else line[0] for line in listed]
    wanted = ["cycle", "unknown-patient", "itself", "cycle", "merged", "merged", "unknown-patient"]
    assert kinds[:7] == wanted, json.dumps(listed)
