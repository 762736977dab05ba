"""Display sets: what a viewer offers of a study, one at a time."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from attrs import frozen

from pacs_core.contracts import Archive, Level, Query, SingleValue
from pacs_core.dataset import tag_of
from pacs_web_ui.studies import TAGS, Instance, Series, Study, model_of

_SR: Final = "1.2.840.10008.5.1.4.1.1.88."
"""Root of the SR documents (PS3.3 A.35), Key Object Selection among them."""
_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
_CDA: Final = "1.2.840.10008.5.1.4.1.1.104.2"
DOCUMENTS: Final = frozenset({_PDF, _CDA})
"""SOP Classes of documents that browsers show as DICOMweb renders them."""

_VIDEOS: Final = frozenset(f"1.2.840.10008.5.1.4.1.1.77.1.{n}.1" for n in (1, 2, 4))
_SERIES_UID: Final = tag_of("SeriesInstanceUID")


@frozen
class DisplaySet:
    """What is shown as one: the images of a series, or one instance that stands by itself.

    Attributes
    ----------
    kind : str
        ``"images"``, ``"report"``, ``"document"``, ``"text"``, which DICOMweb renders as a page,
        ``"video"``, or ``"other"``: a page says what it is.
    series : Series
    instance : str
        SOP Instance UID; empty for the images of a series, of one frame each.
    number : str
        Instance Number of that instance.
    count : int
        How many images or frames.
    middle : str
        SOP Instance UID of the image in the middle, which stands for all.
    """

    kind: str
    series: Series
    instance: str
    number: str
    count: int
    middle: str


def kind_of(instance: Instance) -> str:
    """Return as what an instance is shown."""
    if instance.sop_class_uid.startswith(_SR):
        return "report"
    if instance.sop_class_uid == _PDF:
        return "document"
    if instance.sop_class_uid == _CDA:
        return "text"
    if instance.sop_class_uid in _VIDEOS:
        return "video"
    return "images" if instance.rows and instance.columns else "other"


def divide(series: Series, instances: Iterable[Instance]) -> list[DisplaySet]:
    """Return the display sets of a series: its images, then what has several frames or is none."""
    images: list[Instance] = []
    alone: list[DisplaySet] = []
    for each in instances:
        kind, frames = kind_of(each), each.number_of_frames
        if kind == "images" and frames <= 1:
            images.append(each)
        else:
            uid, number = each.sop_instance_uid, each.instance_number
            alone.append(DisplaySet(kind, series, uid, number, max(frames, 1), uid))
    if not images:
        return alone
    middle = images[len(images) // 2].sop_instance_uid
    return [DisplaySet("images", series, "", "", len(images), middle), *alone]


async def list_display_sets(
    archive: Archive, study: str, series: Sequence[Series]
) -> list[DisplaySet]:
    """Return the display sets of a study, images before what is none.

    Parameters
    ----------
    archive : Archive
        As whoever asks may use it.
    study : str
        Study Instance UID.
    series : sequence of Series
        Of the study, in their order.
    """
    conditions = (SingleValue(TAGS[Study]["study_instance_uid"], study),)
    wanted = frozenset({*TAGS[Instance].values(), _SERIES_UID})
    found = [
        (str(attributes.get(_SERIES_UID, ("",))[0]), model_of(Instance, attributes))
        async for attributes in archive.search(Query(Level.IMAGE, conditions, wanted))
    ]
    found.sort(key=lambda each: (each[0], number_of(each[1])))
    by_series = {uid: [i for _, i in group] for uid, group in groupby(found, lambda each: each[0])}
    sets = [
        each for one in series for each in divide(one, by_series.get(one.series_instance_uid, ()))
    ]
    return sorted(sets, key=lambda each: each.kind != "images")


def number_of(instance: Instance) -> tuple[int, str]:
    """Return what sorts instances by their number, those without one last."""
    text = instance.instance_number.strip()
    is_number = text.isascii() and text.isdigit() and len(text) < 13  # an IS has 12 characters
    return (int(text) if is_number else 10**13, instance.sop_instance_uid)
