"""Instances that are no image, report or document: what they are, and what they say of themselves.

A plan, a set of structures, a registration, a presentation state, raw data or a waveform has no
picture of its own. People are told what it is, its main attributes, what it has by name, and the
images that it is about, which open in the viewer. Waveforms are drawn, see :mod:`.waveforms`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from attrs import frozen

from pacs_core.api.streams import closing
from pacs_core.contracts import Archive, Level, Query, SingleValue, StoredInstance, UidList
from pacs_core.dataset import ElementSet, ReadLimits, tag_of, uid_name
from pacs_web_ui.studies import TAGS, Instance, Series, Study
from pacs_web_ui.viewer.waveforms import Plot, read_plots

LIMITS: Final = ReadLimits(bulk=16 << 20, total=64 << 20)
"""Waveforms are bulk data that are drawn."""

FACTS: Final = (
    "ContentLabel", "RTPlanLabel", "RTPlanName", "StructureSetLabel",
    "StructureSetName", "SeriesDescription", "ContentDescription",
    "RTPlanDescription", "StructureSetDescription", "AcquisitionDateTime", "ContentDate",
    "PresentationCreationDate", "RTPlanDate", "StructureSetDate", "TreatmentDate", "PlanIntent",
    "ApprovalStatus", "ContentCreatorName", "Manufacturer", "ManufacturerModelName", "StationName",
    "InstitutionName",
)  # fmt: skip
"""Keywords of the attributes that are shown; the page says what they are called."""

_NAMED: Final = {
    "StructureSetROISequence": "ROIName",
    "BeamSequence": "BeamName",
    "IonBeamSequence": "BeamName",
    "ApplicationSetupSequence": "ApplicationSetupName",
    "SurfaceSequence": "SegmentLabel",
    "TrackSetSequence": "TrackSetLabel",
    "DisplaySetsSequence": "DisplaySetLabel",
}
"""Sequences whose items have a name that people know them by."""

_STATES: Final = tuple(f"1.2.840.10008.5.1.4.1.1.11.{number}" for number in (1, 2, 5))
"""Presentation states that DICOMweb renders: Grayscale, Color, XA/XRF Grayscale."""

_REFERENCE: Final = tag_of("ReferencedSOPInstanceUID")
_MOST_NAMES: Final = 200
_MOST_REFERENCES: Final = 5_000
_AT_ONCE: Final = 500
_DEEPEST: Final = 12


@frozen
class ReferredSeries:
    """Images of a series that an instance is about.

    Attributes
    ----------
    series : Series
    count : int
        How many of them are in the archive.
    first : str
        SOP Instance UID.
    """

    series: Series
    count: int
    first: str


@frozen
class Overview:
    """What a page shows of an instance.

    Attributes
    ----------
    kind : str
        Name of its SOP class, without what they all end in; its UID, if that is not known.
    facts : mapping of str to str
        Values by keyword.
    names : tuple of str
        Of what it has: structures, beams and the like.
    series : tuple of ReferredSeries
    plots : tuple of Plot
    is_presentation : bool
        Whether DICOMweb renders what it presents.
    """

    kind: str
    facts: Mapping[str, str]
    names: tuple[str, ...]
    series: tuple[ReferredSeries, ...]
    plots: tuple[Plot, ...]
    is_presentation: bool


def read_overview(instance: StoredInstance, elements: ElementSet) -> tuple[Overview, list[str]]:
    """Return what there is to say of an instance, and the UIDs of what it refers to."""
    sop_class = instance.identity.sop_class_uid
    kind = uid_name(sop_class).removesuffix(" Storage") or sop_class
    facts = {keyword: text for keyword in FACTS if (text := _text(elements, keyword))}
    names = tuple(islice(_names(elements), _MOST_NAMES))
    references = list(dict.fromkeys(islice(_references(elements, 0), _MOST_REFERENCES)))
    plots = tuple(read_plots(elements))
    return Overview(kind, facts, names, (), plots, sop_class in _STATES), references


async def find_referred(
    archive: Archive, study: str, series: Sequence[Series], references: Sequence[str]
) -> tuple[ReferredSeries, ...]:
    """Return what is referred to and in the archive, by series in their order."""
    found: dict[str, list[str]] = {}
    own = SingleValue(TAGS[Study]["study_instance_uid"], study)
    for start in range(0, len(references), _AT_ONCE):
        some = tuple(references[start : start + _AT_ONCE])
        query = Query(Level.IMAGE, (own, UidList(TAGS[Instance]["sop_instance_uid"], some)))
        async with closing(archive.instances(query)) as instances:
            async for each in instances:
                uids = found.setdefault(each.identity.series_instance_uid, [])
                uids.append(each.identity.sop_instance_uid)
    order = {uid: number for number, uid in enumerate(references)}
    return tuple(
        ReferredSeries(each, len(there), min(there, key=order.__getitem__))
        for each in series
        if (there := found.get(each.series_instance_uid))
    )


def _names(elements: ElementSet) -> Iterator[str]:
    for sequence, keyword in _NAMED.items():
        for item in elements.items(tag_of(sequence)):
            if name := _text(item, keyword):
                yield name


def _references(elements: ElementSet, depth: int) -> Iterator[str]:
    for each in elements:
        if each.tag == _REFERENCE:
            yield from elements.texts(_REFERENCE)[:1]
        elif depth < _DEEPEST:
            for item in each.items:
                yield from _references(item, depth + 1)


def _text(elements: ElementSet, keyword: str) -> str:
    return "\\".join(elements.texts(tag_of(keyword))).strip()[:1000]
