"""The systems around a node: modality, workstation, browser."""

import re

import httpx
from pacs_sop_mpps.testing import sample_attributes as sample_performed
from pacs_sop_ups.testing import sample_attributes as sample_procedure
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)
from pynetdicom import AE, build_role, evt

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    decode_dataset,
    encode_attributes,
    tag_of,
)

WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS, MPPS_RETRIEVE = "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.3.1.2.3.4"
UPS_PUSH, UPS_QUERY = "1.2.840.10008.5.1.4.34.6.1", "1.2.840.10008.5.1.4.34.6.5"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
PLUGINS = (
    "sop-worklist", "sop-mpps", "sop-ups", "sop-query-retrieve", "web", "dicomweb",
)  # fmt: skip
STUDY, SERIES = "1.2.826.0.1.17.1", "1.2.826.0.1.17.1.1"


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
        stored = (CTImageStorage, EncapsulatedPDFStorage, BasicTextSRStorage)
        for uid in stored:
            ae.add_requested_context(uid, ExplicitVRLittleEndian)
        roles = [build_role(uid, scp_role=True, scu_role=True) for uid in stored]
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
