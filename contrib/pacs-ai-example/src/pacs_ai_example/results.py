"""Results: a segmentation, and a report that measures it (TID 1500)."""

from collections.abc import Sequence
from io import BytesIO

import highdicom as hd
import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes

from pacs_ai_example import kserve
from pacs_ai_example.model import MANUFACTURER, Component, find_component

_MODEL = "pacs-ai-example"


def infer(
    files: Sequence[bytes], threshold: float | None = None, *, model_url: str = ""
) -> list[bytes]:
    """Return the results about some DICOM files: a segmentation, then a report.

    With `model_url` a model behind KServe v2 is asked in place of our own.

    Raises
    ------
    NothingToSeeError
        Of :mod:`pacs_ai_example.model`.
    ModelAwayError, ValueError
        Of :mod:`pacs_ai_example.kserve`.
    """
    images = [dcmread(BytesIO(each)) for each in files]
    given = {} if threshold is None else {"threshold": threshold}
    if model_url:
        component = kserve.find_component(images, model_url)
    else:
        component = find_component(images, **given)
    segmentation = make_segmentation(component)
    return [write(each) for each in (segmentation, make_report(component, segmentation))]


def make_segmentation(component: Component) -> Dataset:
    """Return the component as a segmentation (PS3.3 A.51)."""
    description = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Bright component",
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Bone,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=_algorithm(component),
        tracking_uid=hd.UID(),
        tracking_id="Bright component",
    )
    return hd.seg.Segmentation(
        source_images=list(component.images),
        pixel_array=component.mask.astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[description],
        series_instance_uid=hd.UID(),
        series_number=901,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=_MODEL,
        software_versions=component.version,
        device_serial_number="1",
        series_description=component.name,
    )


def make_report(component: Component, segmentation: Dataset) -> Dataset:
    """Return a measurement report about the segmentation (PS3.16 TID 1500)."""
    images = list(component.images)
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=hd.UID(), manufacturer_name=MANUFACTURER, model_name=_MODEL
        ),
    )
    segment = ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=1,
        source_series=SourceSeriesForSegmentation(images[0].SeriesInstanceUID),
    )
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=hd.UID(), identifier="Bright component"),
        referenced_segment=segment,
        finding_type=codes.SCT.Bone,
        finding_sites=[FindingSite(codes.SCT.Bone)],
        algorithm_id=AlgorithmIdentification(name=component.name, version=component.version),
        measurements=[
            Measurement(
                name=codes.SCT.Volume,
                value=round(component.volume, 3),
                unit=codes.UCUM.CubicMillimeter,
            )
        ],
    )
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=codes.cid100.CTUnspecifiedBodyRegion,
        imaging_measurements=[group],
    )
    return hd.sr.ComprehensiveSR(
        evidence=[*images, segmentation],
        content=report,
        series_instance_uid=hd.UID(),
        series_number=902,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_verified=False,
        series_description=f"{component.name}: volume",
    )


def write(dataset: Dataset) -> bytes:
    """Return a dataset as a DICOM file."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _algorithm(component: Component) -> "hd.AlgorithmIdentificationSequence":
    family = codes.cid7162.MorphologicalOperations
    return hd.AlgorithmIdentificationSequence(
        name=component.name, family=family, version=component.version, source=MANUFACTURER
    )
