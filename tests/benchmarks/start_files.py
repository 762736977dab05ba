"""Files for the lines of :mod:`.start_lines`: small ones of each kind."""

import datetime
import shutil
import subprocess
import sys
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID, generate_uid

from .start_lines import Line, environment

_COPIES: Final = {
    "ct": "CT_small.dcm", "copy": "CT_small.dcm", "mr": "MR_small.dcm", "report": "test-SR.dcm",
    "seg": "liver_1frame.dcm", "compressed": "SC_rgb_jpeg_dcmtk.dcm",
}  # fmt: skip
_MADE: Final = (
    "from-pdf {i}/a.pdf {i}/document",
    "dicomdir create {i}/ct --output {i}/media",
    "completion bash",
    "deidentify {i}/ct {i}/anonymous --vault {k}/vault --key-file {k}/secret",
    "sign {i}/ct -o {i}/signed --private-key {k}/key --certificate {k}/certificate",
)
_PACS: Final = "import sys; from pacs_core.cli.main import main; sys.exit(main())"
"""Begun as the lines are: what is remembered of commands depends on the path of modules."""

_ROWS, _COLUMNS, _SLICES = 8, 6, 3
_MOVIE: Final = b64decode(
    b"eNpjYGAQSCupLMgszs9lAANGr9z8/DIgw6GkKDEbSFvkpmQmAmmRjJScIgYoKM4vzQNSMrkpGSkMWAEjE1T/L6h+"
    b"LGqZXzAwsF8AMhSQzS7LTElFM2xbbmZeGpBeV1ySlAOkJxWXFMPMYgTipsSyZEMGagMdoKnOjCkMGv8fMkinA+k1"
    b"Nx0qmNSfHnABOp2BBUScsEk4FgFygQjQRVVQfZxAbATEkrkpiSVpRYm5qcUK+WkKiQogn+UDANCJON4="
)
"""An MP4 with H.264, without pictures."""


def write_files(folder: Path) -> None:
    """Make them, which takes some seconds."""
    inputs, keys = folder / "i", folder / "k"
    inputs.mkdir(parents=True)
    keys.mkdir()
    for name, source in _COPIES.items():
        shutil.copyfile(_find(source), inputs / name)
    _make_frames().save_as(inputs / "frames", enforce_file_format=True)
    _write_slices(inputs / "slices", inputs / "a.nii")
    Image.new("RGB", (16, 16), (1, 2, 3)).save(inputs / "a.png")
    (inputs / "a.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    (inputs / "a.stl").write_bytes(bytes(80) + (1).to_bytes(4, "little") + bytes(50))
    (inputs / "a.xml").write_text(
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2"/></ClinicalDocument>'
    )
    (inputs / "a.mp4").write_bytes(zlib.decompress(_MOVIE))
    (keys / "secret").write_text("a secret of a benchmark")
    _write_keys(keys)
    for each in _MADE:
        command = [sys.executable, "-c", _PACS, *Line(each).words(folder)]
        made = subprocess.run(command, env=environment(folder), capture_output=True, timeout=60)
        assert made.returncode == 0, made.stderr


def _find(name: str) -> str:
    path = get_testdata_file(name)
    assert path is not None
    return path


def _make_frames() -> Dataset:
    """Return a secondary capture of several frames, of the patient and study of a CT."""
    made = dcmread(_find("CT_small.dcm"))
    for tag in [each.tag for each in made if each.tag.is_private or each.tag.group > 0x20]:
        del made[tag]
    for keyword in (
        "SliceThickness", "KVP", "GantryDetectorTilt", "ImagePositionPatient", "SliceLocation",
        "ImageOrientationPatient", "AcquisitionNumber", "Exposure", "XRayTubeCurrent",
        "ExposureTime", "FrameOfReferenceUID", "PositionReferenceIndicator",
        "SpacingBetweenSlices",
    ):  # fmt: skip
        made.pop(keyword, None)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7.3")
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns, made.NumberOfFrames = _ROWS, _COLUMNS, _SLICES
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = bytes(2 * _ROWS * _COLUMNS * _SLICES)
    made["PixelData"].VR = "OW"
    return made


def _write_slices(folder: Path, mask: Path) -> None:
    """Write a series of images, and a mask on their grid."""
    folder.mkdir()
    series, frame_of_reference = generate_uid(), generate_uid()
    for number in range(_SLICES):
        made = dcmread(_find("CT_small.dcm"))
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        made.SeriesInstanceUID, made.FrameOfReferenceUID = series, frame_of_reference
        made.Rows, made.Columns, made.PixelSpacing = _ROWS, _COLUMNS, [1, 1]
        made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        made.ImagePositionPatient = [0, 0, number]
        made.InstanceNumber, made.SliceThickness = number + 1, 1
        made.PixelData = bytes(2 * _ROWS * _COLUMNS)
        made.save_as(folder / f"{number}.dcm")
    voxels = np.ones((_COLUMNS, _ROWS, _SLICES), np.uint8)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1, -1, 1, 1])), mask)


def _write_keys(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, form = Encoding.PEM, PrivateFormat.PKCS8
    (folder / "key").write_bytes(key.private_bytes(pem, form, NoEncryption()))
    (folder / "certificate").write_bytes(certificate.public_bytes(pem))
