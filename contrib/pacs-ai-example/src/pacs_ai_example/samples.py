"""Images to try the service with: a CT series with a bright box in it."""

from typing import Any

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

_SIZE = 32


def make_series(slices: int = 4, **values: Any) -> list[Dataset]:
    """Return the images of a study of its own.

    Parameters
    ----------
    slices : int
    **values
        Attributes by keyword, in place of those that the images would have.
    """
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    images = []
    for number in range(slices):
        pixels = np.zeros((_SIZE, _SIZE), np.int16)
        if 0 < number < slices - 1:
            pixels[8:16, 8:20] = 500
        pixels[28:30, 2:4] = 400
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = frame, ""
        image.PatientID, image.PatientName = "4711", "Doe^Jane"
        image.PatientBirthDate, image.PatientSex = "19700101", "F"
        image.StudyDate = image.SeriesDate = image.ContentDate = image.AcquisitionDate = "20260102"
        image.StudyTime = image.SeriesTime = image.ContentTime = image.AcquisitionTime = "101112"
        image.AccessionNumber, image.StudyID = "A17", "1"
        image.ReferringPhysicianName, image.Manufacturer = "", "ACME"
        image.Modality, image.BodyPartExamined = "CT", "CHEST"
        image.SeriesNumber, image.InstanceNumber = 1, number + 1
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.ImagePositionPatient = [0.0, 0.0, 2.0 * number]
        image.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        image.PixelSpacing, image.SliceThickness = [0.5, 0.5], 2.0
        image.Rows = image.Columns = _SIZE
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.RescaleSlope, image.RescaleIntercept = 1, 0
        image.PixelData = pixels.tobytes()
        for keyword, value in values.items():
            setattr(image, keyword, value)
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        images.append(image)
    return images
