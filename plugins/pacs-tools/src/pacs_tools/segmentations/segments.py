"""Descriptions of segments as JSON: what NIfTI has no place for (PS3.3 C.8.20.4)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, define

from pacs_core.api.file_commands import CommandError

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

_LONGEST: Final = 16 << 20


@define
class Concept:
    """A coded concept."""

    value: str
    scheme: str
    meaning: str


@define
class Segment:
    """What a segment is.

    Attributes
    ----------
    number : int
    label : str
    category, type : Concept
        Segmented Property Category and Type.
    algorithm : str
        Segment Algorithm Type: "MANUAL", "SEMIAUTOMATIC" or "AUTOMATIC".
    algorithm_name : str
        Needed unless it is manual.
    """

    number: int
    label: str
    category: Concept
    type: Concept
    algorithm: str = "MANUAL"
    algorithm_name: str = ""


_ANATOMY: Final = ("91723000", "SCT", "Anatomical structure")


def undescribed(number: int) -> Segment:
    """Return a segment of which nothing is known but its number."""
    return Segment(number, f"Segment {number}", Concept(*_ANATOMY), Concept(*_ANATOMY))


def segment_of(described: "SegmentDescription") -> Segment:
    """Return a segment as JSON has it."""

    def concept(code: Any) -> Concept:
        return Concept(str(code.value), str(code.scheme_designator), str(code.meaning))

    return Segment(
        int(described.segment_number),
        str(described.segment_label),
        concept(described.segmented_property_category),
        concept(described.segmented_property_type),
        str(described.algorithm_type.value),
        str(described.get("SegmentAlgorithmName") or ""),
    )


def dump_segments(segments: list[Segment]) -> bytes:
    """Return the JSON of segments."""
    plain = [asdict(each) for each in segments]
    return json.dumps(plain, indent=2, ensure_ascii=False).encode() + b"\n"


def load_segments(path: Path) -> list[Segment]:
    """Read the JSON of segments.

    Raises
    ------
    CommandError
        It is not as `dump_segments` writes it.
    """
    from cattrs import Converter
    from cattrs.errors import BaseValidationError

    if path.stat().st_size > _LONGEST:
        raise CommandError(f"{path}: it is larger than 16 MiB")
    try:
        plain = json.loads(path.read_bytes())
        return Converter(forbid_extra_keys=True).structure(plain, list[Segment])
    except (ValueError, RecursionError, BaseValidationError) as error:
        raise CommandError(
            f"{path}: it is no list of segments as pacs seg to-nifti writes it: {error}"
        ) from error


def describe(segment: Segment) -> "SegmentDescription":
    """Return a segment as a SEG has it."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from highdicom.sr.coding import CodedConcept

    def code(concept: Concept) -> CodedConcept:
        return CodedConcept(concept.value, concept.scheme, concept.meaning)

    algorithm = None
    if segment.algorithm != "MANUAL":
        algorithm = AlgorithmIdentificationSequence(
            name=segment.algorithm_name or "unknown",
            family=CodedConcept("123110", "DCM", "Artificial Intelligence"),
            version="unknown",
        )
    return SegmentDescription(
        segment.number,
        segment.label,
        code(segment.category),
        code(segment.type),
        segment.algorithm,
        algorithm,
    )
