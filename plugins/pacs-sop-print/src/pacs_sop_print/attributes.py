"""Attributes of film sessions, film boxes and image boxes: what each may be (PS3.4 H.4).

A value that an attribute cannot have by the standard is refused with 0106H. One that it could have,
but that this printer does not support, is answered with the warning 0116H, and the default is used.
An attribute that is not known here is passed over, with the warning 0107H if it is not private. Of
several warnings the most telling is answered: those of PS3.4 H.4, then 0116H, then 0107H.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field, frozen
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from pacs_core.dimse import DimseError, Status
from pacs_sop_print.config import FILM_SIZE, PrintConfig
from pacs_sop_print.layout import MAX_ANNOTATIONS
from pacs_sop_print.statuses import PrintStatus


class NotSupportedError(ValueError):
    """A value that the standard has and this printer has not; with what is used, and the status."""

    def __init__(self, used: Any, status: int = Status.ATTRIBUTE_VALUE_OUT_OF_RANGE) -> None:
        super().__init__(f"{used!r} is used instead")
        self.used = used
        self.status = status


Check = Callable[[Any, PrintConfig], Any]
"""Returns a value as it is used; raises :class:`NotSupportedError`, or ValueError."""


def _one_of(*values: str) -> Check:
    def check(value: Any, _config: PrintConfig) -> str:
        text = str(value)
        if text not in values:
            raise ValueError(f"it is one of {', '.join(values)}")
        return text

    return check


def _supported(pattern: str, values: Callable[[PrintConfig], tuple[str, ...]]) -> Check:
    def check(value: Any, config: PrintConfig) -> str:
        text, supported = str(value), values(config)
        if not re.fullmatch(pattern, text):
            raise ValueError("it is no defined term")
        if supported and text not in supported:
            raise NotSupportedError(supported[0])
        return text

    return check


def _text(value: Any, _config: PrintConfig) -> str:
    return str(value)[:1024]


def _copies(value: Any, config: PrintConfig) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("it is at least 1")
    if number > config.max_copies:
        raise NotSupportedError(config.max_copies)
    return number


def _memory(value: Any, _config: PrintConfig) -> None:
    raise NotSupportedError(None, PrintStatus.MEMORY_ALLOCATION_NOT_SUPPORTED)


def _density(value: Any, config: PrintConfig) -> str:
    """Check a border density or empty image density: a name, or hundredths of OD (PS3.3 C.13.3)."""
    text = str(value)
    if text in {"BLACK", "WHITE"}:
        return text
    if not re.fullmatch(r"\d{1,5}", text):
        raise ValueError("it is BLACK, WHITE, or hundredths of optical density")
    within = min(max(int(text), config.min_density), config.max_density)
    if within != int(text):
        raise NotSupportedError(str(within), PrintStatus.DENSITY_OUT_OF_RANGE)
    return text


def _limit(value: Any, config: PrintConfig) -> int:
    number = int(value)
    within = min(max(number, config.min_density), config.max_density)
    if within != number:
        raise NotSupportedError(within, PrintStatus.DENSITY_OUT_OF_RANGE)
    return number


def _limit_of_lut(value: Any, config: PrintConfig) -> None:
    """Check a density that belongs to the film box or image box (PS3.4 H.4.9.1): it is not used."""
    _limit(value, config)
    raise NotSupportedError(None, Status.ATTRIBUTE_LIST_ERROR)


def _light(value: Any, _config: PrintConfig) -> int:
    return int(value)


def _millimetres(value: Any, _config: PrintConfig) -> float:
    number = float(value)
    if not 0 < number < 10_000:
        raise ValueError("it is a width in millimetres")
    return number


def _annotation(value: Any, _config: PrintConfig) -> str:
    text = str(value)
    if annotations_of(text) == 0:
        raise NotSupportedError("")
    return text


def annotations_of(format_id: str) -> int:
    """Return how many annotation boxes an Annotation Display Format ID has: that many lines."""
    if format_id in {"LABEL", "BOTTOM", "COMBINED"}:
        return 1
    return int(format_id) if re.fullmatch(rf"[1-{MAX_ANNOTATIONS}]", format_id) else 0


@frozen
class Rule:
    """What an attribute may be.

    Attributes
    ----------
    check : callable
    default : value, or callable that makes one of the config
    can_be_set : bool
        Whether N-SET may change it.
    """

    check: Check
    default: Any = None
    can_be_set: bool = True

    def default_of(self, config: PrintConfig) -> Any:
        """Return what it is when the requestor does not say it."""
        return self.default(config) if callable(self.default) else self.default


Rules = Mapping[str, Rule]

_MAGNIFICATION: Final = _one_of("REPLICATE", "BILINEAR", "CUBIC", "NONE")

FILM_SESSION_RULES: Final[Rules] = {
    "NumberOfCopies": Rule(_copies, 1),
    "PrintPriority": Rule(_one_of("HIGH", "MED", "LOW"), "MED"),
    "MediumType": Rule(_text, "PAPER"),
    "FilmDestination": Rule(_text, "PROCESSOR"),
    "FilmSessionLabel": Rule(_text, ""),
    "MemoryAllocation": Rule(_memory),
    "OwnerID": Rule(_text, ""),
}
"""PS3.4 H.4.1.2: Table H.4-2, and what N-SET may change."""

FILM_BOX_RULES: Final[Rules] = {
    "ImageDisplayFormat": Rule(_text, can_be_set=False),
    "FilmOrientation": Rule(_one_of("PORTRAIT", "LANDSCAPE"), "PORTRAIT", can_be_set=False),
    "FilmSizeID": Rule(
        _supported(FILM_SIZE, lambda config: config.film_sizes),
        lambda config: config.film_sizes[0],
        can_be_set=False,
    ),
    "MagnificationType": Rule(_MAGNIFICATION, "CUBIC"),
    "SmoothingType": Rule(_text),
    "MaxDensity": Rule(_limit, lambda config: config.max_density),
    "MinDensity": Rule(_limit, lambda config: config.min_density),
    "BorderDensity": Rule(_density, "BLACK"),
    "EmptyImageDensity": Rule(_density, "BLACK"),
    "Trim": Rule(_one_of("YES", "NO"), "NO"),
    "ConfigurationInformation": Rule(_text),
    "AnnotationDisplayFormatID": Rule(_annotation, "", can_be_set=False),
    "Illumination": Rule(_light, 2000),
    "ReflectedAmbientLight": Rule(_light, 10),
    "RequestedResolutionID": Rule(_one_of("STANDARD", "HIGH"), "STANDARD", can_be_set=False),
}
"""PS3.4 H.4.2.2: Table H.4-6, and what N-SET may change."""

IMAGE_BOX_RULES: Final[Rules] = {
    "Polarity": Rule(_one_of("NORMAL", "REVERSE"), "NORMAL"),
    "MagnificationType": Rule(_MAGNIFICATION),
    "SmoothingType": Rule(_text),
    "ConfigurationInformation": Rule(_text),
    "RequestedImageSize": Rule(_millimetres),
    "RequestedDecimateCropBehavior": Rule(_one_of("DECIMATE", "CROP", "FAIL")),
    "MaxDensity": Rule(_limit),
    "MinDensity": Rule(_limit),
}
"""PS3.4 Tables H.4-10 and H.4-11; without a value those of the film box hold."""

PRESENTATION_LUT_RULES: Final[Rules] = {
    "MaxDensity": Rule(_limit_of_lut),
    "MinDensity": Rule(_limit_of_lut),
}
"""PS3.4 Table H.4.9.2.1.2-1 has a warning of densities, which Table H.4-23 does not have."""

_PRECEDENCE: Final[Mapping[int, int]] = {
    Status.ATTRIBUTE_LIST_ERROR: 1,
    Status.ATTRIBUTE_VALUE_OUT_OF_RANGE: 2,
}


@define
class Warnings:
    """What the requestor is to know although its request was carried out."""

    status: int = Status.SUCCESS
    tags: list[int] = field(factory=list)

    def add(self, status: int, tag: int | None = None) -> None:
        """Take note of a warning; that of the print services outweighs the others."""
        if status == Status.SUCCESS:
            return
        if tag is not None:
            self.tags.append(tag)
        if _weight(status) > _weight(self.status):
            self.status = status


def _weight(status: int) -> int:
    return 0 if status == Status.SUCCESS else _PRECEDENCE.get(status, 3)


def apply(
    rules: Rules,
    given: Dataset,
    config: PrintConfig,
    current: Mapping[str, Any] | None = None,
    *,
    others: tuple[str, ...] = (),
) -> tuple[dict[str, Any], Warnings]:
    """Return the attributes of an instance after N-CREATE, or after N-SET on `current`.

    Parameters
    ----------
    rules : mapping of str to Rule
        By keyword.
    given : Dataset
        Attribute List or Modification List.
    config : PrintConfig
    current : mapping, optional
        Attributes so far; none for N-CREATE.
    others : tuple of str
        Keywords that are looked at elsewhere.

    Raises
    ------
    DimseError
        A value is none that the attribute can have, or cannot be changed; nothing has changed.
    """
    warnings = Warnings()
    if current is None:
        values = {keyword: rule.default_of(config) for keyword, rule in rules.items()}
    else:
        values = dict(current)
    known = {*rules, *others, "SpecificCharacterSet"}
    for found in given.keys():  # noqa: SIM118  a Dataset iterates over elements
        if keyword_for_tag(found) not in known and not (found.is_private or found.element == 0):
            warnings.add(Status.ATTRIBUTE_LIST_ERROR, int(found))
    for keyword, rule in rules.items():
        value = value_of(given, keyword)
        if value is None:
            continue
        tag = tag_of(keyword)
        if current is not None and not rule.can_be_set:
            if str(value) == str(current.get(keyword)):
                continue
            raise DimseError(Status.NO_SUCH_ATTRIBUTE, f"{keyword} cannot be changed", (tag,))
        try:
            values[keyword] = rule.check(value, config)
        except NotSupportedError as error:
            values[keyword] = error.used
            warnings.add(error.status, tag)
        except (ValueError, TypeError, OverflowError) as error:
            comment = f"{keyword}: {error}"
            raise DimseError(Status.INVALID_ATTRIBUTE_VALUE, comment, (tag,)) from error
    return values, warnings


def tag_of(keyword: str) -> int:
    """Return the tag of an attribute."""
    tag = tag_for_keyword(keyword)
    assert tag is not None  # noqa: S101  keywords of this package
    return tag


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return the value of an attribute, or None if it is not there or empty.

    Raises
    ------
    DimseError
        0106H: it cannot be read.
    """
    try:
        value = dataset.get(keyword)
    except Exception as error:  # pydicom converts values when they are looked at
        raise DimseError(
            Status.INVALID_ATTRIBUTE_VALUE, f"{keyword} cannot be read", (tag_of(keyword),)
        ) from error
    return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value


def require(dataset: Dataset, keyword: str) -> Any:
    """Return the value of an attribute that must be there.

    Raises
    ------
    DimseError
        0120H: it is missing. 0121H: it is empty.
    """
    value = value_of(dataset, keyword)
    if value is not None:
        return value
    missing = keyword not in dataset
    status = Status.MISSING_ATTRIBUTE if missing else Status.MISSING_ATTRIBUTE_VALUE
    word = "missing" if missing else "empty"
    raise DimseError(status, f"{keyword} is {word}", (tag_of(keyword),))


def to_dataset(values: Mapping[str, Any]) -> Dataset:
    """Return attributes with a value, for the answer to N-CREATE and N-SET."""
    dataset = Dataset()
    for keyword, value in values.items():
        if value not in (None, ""):
            setattr(dataset, keyword, value)
    return dataset
