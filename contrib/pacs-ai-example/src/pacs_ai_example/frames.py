"""Images whose frames came beside their metadata, each as a part of a body (PS3.18 F, 10.4)."""

import json
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP

from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pacs_ai_example.results import write


def read_frames(content_type: str, body: bytes) -> Iterator[bytes]:
    """Iterate over the images of a body as DICOM files.

    The first part is the metadata in DICOM JSON. Those behind it are the frames: each has native
    pixels, and a Content-Location that ends with what the reference to the Pixel Data of its image
    says, and ``/frames/`` and a number.
    """
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    metadata, *parts = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
    frames: dict[str, list[tuple[int, bytes]]] = {}
    for part in parts:
        place, _, number = str(part["Content-Location"]).rpartition("/frames/")
        place = place[place.find("/studies/") :]
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            frames.setdefault(place, []).append((int(number), content))
    text = metadata.get_payload(decode=True)
    for each in json.loads(text) if isinstance(text, bytes) else []:
        each.pop("7FE00010", None)
        yield _make_file(Dataset.from_json(each), frames)


def _make_file(image: Dataset, frames: dict[str, list[tuple[int, bytes]]]) -> bytes:
    place = (
        f"/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}"
        f"/instances/{image.SOPInstanceUID}"
    )
    pixels = b"".join(content for _, content in sorted(frames.get(place, [])))
    image.PixelData = pixels + b"\0" * (len(pixels) % 2)
    image["PixelData"].VR = "OW"
    meta = image.file_meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = image.SOPClassUID
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return write(image)
