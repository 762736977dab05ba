"""Instances made to be de-identified: what is identifying in them is told by `SECRETS`."""

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
STUDY, SERIES, INSTANCE = "1.2.826.99.1", "1.2.826.99.1.1", "1.2.826.99.1.1.1"

SECRETS = (
    "Ruiz", "Marisol", "MRN-77120", "19610423", "ACC90211", "Okonkwo", "Lindqvist", "Castellanos",
    "Mercy West", "4711-0815", "ward 7", "Elm Street", "555-0199", "ruiz@example.org", STUDY,
    INSTANCE, "OPHID77", "1.2.826.99.77", "CTSCANNER9", "078-05-1120", "23.04.1961", "1961-04-23",
)  # fmt: skip
"""None of these may be in what is made, whatever it is encoded as."""


def make_instance(**more: object) -> Dataset:
    """Return a CT image with secrets of each kind: names, IDs, dates, UIDs, text, private."""
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = CT
    d.file_meta.MediaStorageSOPInstanceUID = INSTANCE
    d.file_meta.SourceApplicationEntityTitle = "CTSCANNER9"
    d.preamble = b"patient Ruiz^Marisol".ljust(128, b"\0")
    d.SpecificCharacterSet = "ISO_IR 192"
    d.SOPClassUID, d.SOPInstanceUID = CT, INSTANCE
    d.StudyInstanceUID, d.SeriesInstanceUID = STUDY, SERIES
    d.FrameOfReferenceUID = "1.2.826.99.1.7"
    d.Modality, d.Manufacturer, d.ManufacturerModelName = "CT", "ACME", "Scan Ruiz special"
    d.PatientName, d.PatientID = "Ruiz^Marisol", "MRN-77120"
    d.PatientBirthDate, d.PatientSex, d.PatientAge = "19610423", "F", "062Y"
    d.PatientAddress, d.PatientTelephoneNumbers = "12 Elm Street", "555-0199"
    d.StudyDate, d.StudyTime, d.AccessionNumber, d.StudyID = "20230817", "101500", "ACC90211", "S1"
    d.SeriesDate, d.AcquisitionDateTime = "20230817", "20230817101530.5+0100"
    d.ReferringPhysicianName = "Okonkwo^Ada"
    d.OperatorsName = ["Lindqvist^Per", "Castellanos^Eva"]
    d.InstitutionName, d.StationName, d.DeviceSerialNumber = "Mercy West", "CTSCANNER9", "4711-0815"
    d.StudyDescription = "CT chest for Ruiz, MRN-77120"
    d.SeriesDescription = "axial, seen by Dr. Okonkwo on 23.04.1961"
    d.ImageComments = (
        "Call Marisol RUIZ at +1 555-0199 or ruiz@example.org; SSN 078-05-1120, ward 7"
    )
    d.ProtocolName = f"chest {INSTANCE}"
    d.ContrastBolusAgent = "iodine"
    d.KVP, d.BodyPartExamined, d.SliceThickness = "120", "CHEST", "5"
    # Attributes of which the standard says nothing, filled with what should not be there
    d.ConvolutionKernel = "for Ruiz"
    d.FilterType = "ruiz@example.org"
    d.PositionReferenceIndicator = "born 1961-04-23"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, "1.2.826.99.77"
    d.ReferencedImageSequence = [reference]
    d.SourceImageSequence = [reference]
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "OPHID77", "OPHID77"
    request.RequestedProcedureDescription = "CT for Marisol Ruiz"
    deep = Dataset()
    deep.PersonName, deep.TextValue = "Ruiz^Marisol", "Elm Street"
    request.ScheduledProtocolCodeSequence = [deep]
    d.RequestAttributesSequence = [request]
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-1", "SRT", "for Ruiz"
    code.add_new(0x0040A123, "PN", "Okonkwo^Ada")
    d.AnatomicRegionSequence = [code]
    acme = d.private_block(0x0029, "ACME 1", create=True)
    acme.add_new(1, "LO", "Ruiz^Marisol")
    nested = Dataset()
    nested.PatientName = "Ruiz^Marisol"
    acme.add_new(2, "SQ", [nested])
    gems = d.private_block(0x0019, "GEMS_ACQU_01", create=True)
    gems.add_new(0x23, "DS", "1.25")
    gems.add_new(0x24, "DS", "7.5")
    gems.add_new(0x99, "LO", "MRN-77120")
    d.add_new(0x60000010, "US", 8)
    d.add_new(0x60000011, "US", 8)
    d.add_new(0x60000022, "LO", "marked by Okonkwo")
    d.add_new(0x60000040, "CS", "G")
    d.add_new(0x60003000, "OW", bytes(8))
    d.add_new(0x50000005, "US", 1)
    d.add_new(0x50003000, "OW", b"Ruiz")
    icon = Dataset()
    icon.Rows, icon.Columns, icon.PixelData = 1, 4, b"Ruiz"
    icon["PixelData"].VR = "OW"
    d.IconImageSequence = [icon]
    d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = 8, 8, 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    d.PixelData = bytes(range(128))
    d.add_new(0xFFFCFFFC, "OB", b"Ruiz")
    for keyword, value in more.items():
        setattr(d, keyword, value)
    return d


def make_report() -> Dataset:
    """Return a structured report with names, dates, UIDs and text in its tree."""
    d = make_instance(SOPClassUID=SR, Modality="SR")
    d.file_meta.MediaStorageSOPClassUID = SR
    for keyword in ("PixelData", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"):
        delattr(d, keyword)
    items = (
        ("TEXT", "TextValue", "Nodule seen in Ruiz, born 23.04.1961, by Dr. Okonkwo"),
        ("PNAME", "PersonName", "Okonkwo^Ada"),
        ("DATE", "Date", "20230817"),
        ("UIDREF", "UID", INSTANCE),
    )
    d.ValueType, d.ContinuityOfContent, d.ContentSequence = "CONTAINER", "SEPARATE", []
    for kind, keyword, value in items:
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", kind
        setattr(item, keyword, value)
        outer = Dataset()
        outer.RelationshipType, outer.ValueType, outer.ContentSequence = (
            "CONTAINS",
            "CONTAINER",
            [item],
        )
        d.ContentSequence.append(outer)
    return d
