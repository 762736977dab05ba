"""Checks that fit one kind of result: what its IOD says of its own parts (PS3.3 A).

What is found here makes a result unreadable, so that nobody may release it: whoever opened it would
see something else than the service has meant, or nothing.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from pacs_ai.findings import Fault, Finding

if TYPE_CHECKING:
    from pydicom import Dataset

SEGMENTATIONS: Final = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
PARAMETRIC_MAP: Final = "1.2.840.10008.5.1.4.1.1.30"
_SECONDARY_CAPTURES: Final = "1.2.840.10008.5.1.4.1.1.7"
"""Root of the secondary captures, and the first of them."""
_STRUCTURE_SET: Final = "1.2.840.10008.5.1.4.1.1.481.3"
_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
_PRESENTATIONS: Final = "1.2.840.10008.5.1.4.1.1.11."
"""Root of the presentation states."""
_BEGINNING: Final = 1024
"""Bytes within which a PDF says that it is one (ISO 32000, H.3)."""


def check_kind(dataset: "Dataset") -> Iterator[Finding]:
    """Check what is said of results of this kind alone."""
    sop_class = str(dataset.get("SOPClassUID", ""))
    if sop_class.startswith(_PRESENTATIONS):
        sop_class = _PRESENTATIONS
    check = _CHECKS.get(sop_class)
    for text in check(dataset) if check else ():
        yield Finding(Fault.UNREADABLE, text)


def have_pixels(dataset: "Dataset") -> bool:
    """Tell whether a dataset is of an IOD that is nothing without pixel data, or describes some.

    Image Pixel, Floating Point and Double Floating Point Image Pixel Module all say how many Rows
    there are (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25).
    """
    sop_class = str(dataset.get("SOPClassUID", ""))
    return (
        dataset.get("Rows") is not None
        or sop_class in SEGMENTATIONS | {PARAMETRIC_MAP, _SECONDARY_CAPTURES}
        or sop_class.startswith(f"{_SECONDARY_CAPTURES}.")
    )


def structure_frames(dataset: "Dataset") -> set[str]:
    """Return the frames of reference in which the structures of a set lie (PS3.3 C.8.8.5)."""
    found = {
        str(item.get(keyword, ""))
        for sequence, keyword in (
            ("ReferencedFrameOfReferenceSequence", "FrameOfReferenceUID"),
            ("StructureSetROISequence", "ReferencedFrameOfReferenceUID"),
        )
        for item in dataset.get(sequence) or []
    }
    return found - {""}


def _check_frames(dataset: "Dataset") -> Iterator[str]:
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    number = int(dataset.get("NumberOfFrames") or 0)
    if len(groups) != number:
        yield f"it has {number} frames, and functional groups for {len(groups)}"


def _check_segmentation(dataset: "Dataset") -> Iterator[str]:
    """PS3.3 C.8.20: each frame is of a segment that is described."""
    yield from _check_frames(dataset)
    segments = {int(s.get("SegmentNumber") or 0) for s in dataset.get("SegmentSequence") or []}
    if not segments:
        yield "it has no segments"
    for group in _groups(dataset):
        for each in group.get("SegmentIdentificationSequence") or []:
            named = int(each.get("ReferencedSegmentNumber") or 0)
            if named not in segments:
                yield f"a frame is of segment {named}, which is none"
                return


def _check_map(dataset: "Dataset") -> Iterator[str]:
    """PS3.3 A.75.4: a frame says what its values mean, in which units."""
    yield from _check_frames(dataset)
    shared, *frames = _groups(dataset)
    known = [bool(group.get("RealWorldValueMappingSequence")) for group in frames]
    if not shared.get("RealWorldValueMappingSequence") and not (known and all(known)):
        yield "it does not say what its values mean: Real World Value Mapping is missing"


def _check_structure_set(dataset: "Dataset") -> Iterator[str]:
    """PS3.3 C.8.8.5, C.8.8.6: contours are of a structure that is named, and of whole points."""
    named = {int(r.get("ROINumber", -1)) for r in dataset.get("StructureSetROISequence") or []}
    for roi in dataset.get("ROIContourSequence") or []:
        number = int(roi.get("ReferencedROINumber", -1))
        if number not in named:
            yield f"contours are of structure {number}, which is none"
        for contour in roi.get("ContourSequence") or []:
            points = int(contour.get("NumberOfContourPoints") or 0)
            values = len(contour.get("ContourData") or [])
            if values != 3 * points:
                yield f"a contour of structure {number} has {values} values for {points} points"
                return


def _check_document(dataset: "Dataset") -> Iterator[str]:
    """PS3.3 C.24.2: the document is what its media type says."""
    content = bytes(dataset.get("EncapsulatedDocument") or b"")
    if b"%PDF-" not in content[:_BEGINNING]:
        yield "its document is no PDF"


def _check_presentation(dataset: "Dataset") -> Iterator[str]:
    """PS3.3 C.11.11: a presentation state is of images that it names."""
    if not dataset.get("ReferencedSeriesSequence"):
        yield "it does not say of which images it is: Referenced Series Sequence is missing"


def _groups(dataset: "Dataset") -> "list[Dataset]":
    """Return the functional groups: those of all frames, then those of each."""
    from pydicom import Dataset

    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    return [shared[0], *(dataset.get("PerFrameFunctionalGroupsSequence") or [])]


_CHECKS: Final[dict[str, Callable[["Dataset"], Iterator[str]]]] = {
    **dict.fromkeys(SEGMENTATIONS, _check_segmentation),
    PARAMETRIC_MAP: _check_map,
    _STRUCTURE_SET: _check_structure_set,
    _PDF: _check_document,
    _PRESENTATIONS: _check_presentation,
}
