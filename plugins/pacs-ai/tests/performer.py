"""A performer of work items (IHE RAD AIW-I), as a program: by pynetdicom and DICOMweb.

It finds a step that is scheduled for its code, claims it, and says how far it is; reads the inputs
where the step says, sends its results by C-STORE, says which there are, and completes the step.
With `cancel` it gives the step up instead.
"""

import sys
from io import BytesIO
from typing import Any
from urllib.request import Request, urlopen

from pacs_ai_example.multipart import read_parts
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.presentation import build_context

PUSH, PULL = "1.2.840.10008.5.1.4.34.6.1", "1.2.840.10008.5.1.4.34.6.3"
TITLE = "AI_PERFORMER"
ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code() -> Dataset:
    return item(CodeValue="LESION", CodingSchemeDesignator="99TEST", CodeMeaning="Find lesions")


def infer(image: Dataset) -> Dataset:
    """Return an image that is derived from another."""
    image.SOPInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.ImageType, image.Manufacturer = ["DERIVED", "PRIMARY"], "ACME"
    image.ManufacturerModelName, image.SoftwareVersions = "Performer", "1.0"
    image.ContentDate = image.SeriesDate = "20260103"
    return image


class Performer:
    def __init__(self, port: int) -> None:
        self.port, self.transaction = port, generate_uid()
        entity = AE(TITLE)
        entity.add_requested_context(PULL)
        self.association = entity.associate("127.0.0.1", port, ae_title="PACS")

    def find(self) -> Dataset:
        keys = item(
            SOPInstanceUID="", ProcedureStepState="SCHEDULED", InputInformationSequence=[],
            ScheduledWorkitemCodeSequence=[code()],
        )  # fmt: skip
        found = [match for _, match in self.association.send_c_find(keys, PULL) if match]
        return found[0]

    def set(self, uid: str, **values: Any) -> None:
        changed = item(TransactionUID=self.transaction, **values)
        status, _ = self.association.send_n_set(changed, PUSH, uid, meta_uid=PULL)
        assert status.Status == 0, f"N-SET {status.Status:04X}H"

    def move_on(self, uid: str, state: str) -> None:
        wanted = item(ProcedureStepState=state, TransactionUID=self.transaction)
        status, _ = self.association.send_n_action(wanted, 1, PUSH, uid, meta_uid=PULL)
        assert status.Status == 0, f"{state}: {status.Status:04X}H"

    def perform(self, step: Dataset) -> None:
        uid = str(step.SOPInstanceUID)
        progress = item(ProcedureStepProgress="50", ProcedureStepProgressDescription="inferring")
        self.set(uid, ProcedureStepProgressInformationSequence=[progress])
        files: list[bytes] = []
        for each in step.InputInformationSequence:
            url = each.WADORSRetrievalSequence[0].RetrieveURL
            with urlopen(Request(url, headers={"Accept": ACCEPT}), timeout=60) as answer:
                files += read_parts(answer.headers["Content-Type"], answer.read())
        results = [infer(dcmread(BytesIO(each))) for each in files[:2]]
        self.store(results)
        outputs = [
            item(
                TypeOfInstances="DICOM",
                StudyInstanceUID=each.StudyInstanceUID,
                SeriesInstanceUID=each.SeriesInstanceUID,
                ReferencedSOPSequence=[
                    item(
                        ReferencedSOPClassUID=each.SOPClassUID,
                        ReferencedSOPInstanceUID=each.SOPInstanceUID,
                    )
                ],
                DICOMRetrievalSequence=[item(RetrieveAETitle="PACS")],
            )
            for each in results
        ]
        performed = item(
            PerformedStationNameCodeSequence=[code()],
            PerformedStationClassCodeSequence=[],
            PerformedStationGeographicLocationCodeSequence=[],
            PerformedProcedureStepStartDateTime="20260131093000",
            PerformedWorkitemCodeSequence=[code()],
            PerformedProcedureStepEndDateTime="20260131094500",
            OutputInformationSequence=outputs,
        )
        self.set(uid, UnifiedProcedureStepPerformedProcedureSequence=[performed])
        self.move_on(uid, "COMPLETED")

    def store(self, results: list[Dataset]) -> None:
        contexts = [build_context(CTImageStorage, ExplicitVRLittleEndian)]
        sending = AE(TITLE).associate("127.0.0.1", self.port, contexts, ae_title="PACS")
        for each in results:
            assert sending.send_c_store(each).Status == 0
        sending.release()


def main() -> None:
    performer = Performer(int(sys.argv[1]))
    step = performer.find()
    performer.move_on(str(step.SOPInstanceUID), "IN PROGRESS")
    if sys.argv[2:] == ["cancel"]:
        performer.move_on(str(step.SOPInstanceUID), "CANCELED")
    else:
        performer.perform(step)
    performer.association.release()


if __name__ == "__main__":
    main()
