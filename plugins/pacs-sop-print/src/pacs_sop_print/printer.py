"""Printer, its configuration, and print jobs, as N-GET tells of them.

PS3.3 C.13.8, C.13.9 and C.13.13.
"""

from collections.abc import Collection
from typing import Final

from pydicom import Dataset

from pacs_core.contracts import Response
from pacs_core.dimse import Status
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.interface import JobRecord
from pacs_sop_print.sop_classes import (
    ANNOTATION_BOX,
    COLOR_META,
    GRAYSCALE_META,
    PRESENTATION_LUT,
    PRINT_JOB,
)

_MANUFACTURER: Final = "pacs-core"


def describe_printer(config: PrintConfig, trouble: str) -> Dataset:
    """Return the attributes of the Printer (PS3.4 H.4.6.2.2)."""
    dataset = Dataset()
    dataset.PrinterStatus = "WARNING" if trouble else "NORMAL"
    dataset.PrinterStatusInfo = "CHECK PRINTER" if trouble else "NORMAL"
    dataset.PrinterName = config.name
    dataset.Manufacturer = _MANUFACTURER
    dataset.ManufacturerModelName = "pacs-sop-print"
    dataset.SoftwareVersions = "0.1.0"
    # No value is known, but modalities ask for all of Table H.4-17, and dislike warnings.
    dataset.DeviceSerialNumber = dataset.DateOfLastCalibration = dataset.TimeOfLastCalibration = ""
    return dataset


def describe_job(record: JobRecord, config: PrintConfig) -> Dataset:
    """Return the attributes of a Print Job (PS3.4 H.4.5.2.2)."""
    dataset = Dataset()
    dataset.ExecutionStatus = str(record.state)
    dataset.ExecutionStatusInfo = record.info
    dataset.CreationDate, dataset.CreationTime = record.created[:8], record.created[8:]
    dataset.PrintPriority = record.priority
    dataset.PrinterName = config.name
    dataset.Originator = record.originator
    return dataset


def describe_configuration(config: PrintConfig) -> Dataset:
    """Return the attributes of the Printer Configuration (PS3.3 C.13.13, PS3.4 Table H.4-26)."""
    dataset = Dataset()
    dataset.PrinterConfigurationSequence = [
        _configuration(config, GRAYSCALE_META, 12),
        _configuration(config, COLOR_META, 8),
    ]
    return dataset


def _configuration(config: PrintConfig, meta_class: str, bits: int) -> Dataset:
    item = Dataset()
    optional = (PRINT_JOB, ANNOTATION_BOX, PRESENTATION_LUT)
    item.SOPClassesSupported = [meta_class, *optional]
    item.MaximumMemoryAllocation = 0  # Memory Allocation (2000,0060) is not supported
    item.MemoryBitDepth, item.PrintingBitDepth = bits, 8
    media = [_medium(config, number, size) for number, size in enumerate(config.film_sizes, 1)]
    item.MediaInstalledSequence, item.OtherMediaAvailableSequence = media[:1], media[1:]
    formats = []
    for size in config.film_sizes:
        for resolution, dots in (("STANDARD", config.resolution), ("HIGH", config.high_resolution)):
            each = Dataset()
            each.ImageDisplayFormat, each.FilmOrientation = "STANDARD\\1,1", "PORTRAIT"
            each.FilmSizeID, each.PrinterResolutionID = size, resolution
            each.PrinterPixelSpacing = [round(25.4 / dots, 6)] * 2
            each.RequestedImageSizeFlag = "YES"
            formats.append(each)
    item.SupportedImageDisplayFormatsSequence = formats
    item.DefaultPrinterResolutionID = "STANDARD"
    item.DefaultMagnificationType = "CUBIC"
    item.OtherMagnificationTypesAvailable = ["BILINEAR", "REPLICATE", "NONE"]
    item.DefaultSmoothingType = "NONE"
    item.MaximumCollatedFilms = config.max_films
    item.DecimateCropResult = {"DECIMATE": "DECIMATE", "CROP": "CROP", "FAIL": "FAIL"}[
        config.behaviour
    ]
    item.Manufacturer, item.ManufacturerModelName = _MANUFACTURER, "pacs-sop-print"
    item.PrinterName = config.name
    return item


def _medium(config: PrintConfig, number: int, size: str) -> Dataset:
    item = Dataset()
    item.ItemNumber, item.MediumType, item.FilmSizeID = number, "PAPER", size
    item.MinDensity, item.MaxDensity = config.min_density, config.max_density
    return item


def select(dataset: Dataset, tags: Collection[int]) -> Response:
    """Return the answer to N-GET: the attributes asked for, or all (PS3.7 §10.1.2.1.7).

    Those that are not there are listed, under the warning 0107H.
    """
    if not tags:
        return Response(Status.SUCCESS, dataset)
    answer = Dataset()
    for tag in tags:
        if tag in dataset:
            answer[tag] = dataset[tag]
    unknown = tuple(tag for tag in tags if tag not in dataset)
    status = Status.ATTRIBUTE_LIST_ERROR if unknown else Status.SUCCESS
    return Response(status, answer, attribute_identifier_list=unknown)
