"""Films as Secondary Capture images, for the archive (PS3.3 A.8.1).

A film session does not say whose images are on its films, so that there is no patient: one study
for each print job, described by the label of the film session.
"""

from io import BytesIO
from typing import Final

from PIL import Image
from pydicom import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pacs_sop_print.films import PrintJob

SOP_CLASS: Final = "1.2.840.10008.5.1.4.1.1.7"
TRANSFER_SYNTAX: Final = str(ExplicitVRLittleEndian)


def instance_uid(job: PrintJob, number: int) -> str:
    """Return the SOP Instance UID of a film: the same whenever the job is printed again."""
    return str(generate_uid(entropy_srcs=[job.uid, "film", str(number)]))


def describe(job: PrintJob, number: int, ae_title: str) -> dict[str, object]:
    """Return the attributes of a film, by keyword, but for its pixels."""
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": SOP_CLASS,
        "SOPInstanceUID": instance_uid(job, number),
        "StudyInstanceUID": str(generate_uid(entropy_srcs=[job.uid, "study"])),
        "SeriesInstanceUID": str(generate_uid(entropy_srcs=[job.uid, "series"])),
        "PatientName": "",
        "PatientID": "",
        "PatientBirthDate": "",
        "PatientSex": "",
        "ReferringPhysicianName": "",
        "AccessionNumber": "",
        "StudyID": "",
        "StudyDate": job.created[:8],
        "StudyTime": job.created[8:],
        "StudyDescription": job.label,
        "SeriesDescription": f"Films printed by {job.originator}",
        "SeriesNumber": 1,
        "InstanceNumber": number,
        "Modality": "HC",
        "ConversionType": "WSD",
        "PatientOrientation": "",
        "StationName": ae_title,
        "BurnedInAnnotation": "YES",
    }


def encode(picture: Image.Image, attributes: dict[str, object]) -> bytes:
    """Return a film as a dataset in Explicit VR Little Endian, without File Meta Information."""
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    is_color = picture.mode == "RGB"
    dataset.SamplesPerPixel = 3 if is_color else 1
    dataset.PhotometricInterpretation = "RGB" if is_color else "MONOCHROME2"
    if is_color:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = picture.height, picture.width
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    across, down = picture.info["dpi"]
    dataset.NominalScannedPixelSpacing = [round(25.4 / down, 6), round(25.4 / across, 6)]
    pixels = picture.tobytes()
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB"
    target = BytesIO()
    dcmwrite(target, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return target.getvalue()
