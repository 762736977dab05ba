"""Catalog of the attributes in the index: at which level, and how each is stored and matched."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from attrs import define, evolve, field, frozen

from pacs_core.contracts import (
    MOMENT_VRS,
    NUMBER_VRS,
    TIMEZONE_OFFSET,
    FurtherAttribute,
    Level,
    comparables,
    name_groups,
    sort_key,
)
from pacs_core.dataset import Attributes, Value, keyword_of, tag_of, vr_of
from pacs_core.relational.sequences import from_json, to_json
from pacs_core.relational.sound import sounds

TABLES = {
    Level.PATIENT: "patient",
    Level.STUDY: "study",
    Level.SERIES: "series",
    Level.IMAGE: "instance",
}
UIDS = {
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}
VARYING = (Level.STUDY, Level.SERIES)
"""Levels of which the instances say what they are like, not always the same."""
PATIENT_KEYS = frozenset({"PatientID", "IssuerOfPatientID"})
IDENTITY = frozenset({*UIDS.values(), "SOPClassUID", *PATIENT_KEYS})
"""Columns that make up rows of their own; they never change."""

# The required, unique and commonest optional keys of PS3.4 Tables C.6-1 to C.6-4.
# An asterisk marks those with an index of their own.
ATTRIBUTES: dict[Level, str] = {
    Level.PATIENT: """
        PatientID* IssuerOfPatientID PatientName* PatientBirthDate* PatientBirthTime PatientSex
        OtherPatientIDs* OtherPatientNames EthnicGroup PatientComments
        QualityControlSubject PatientSpeciesDescription ResponsiblePerson
    """,
    Level.STUDY: """
        StudyInstanceUID* StudyDate* StudyTime AccessionNumber* IssuerOfAccessionNumberSequence
        StudyID* StudyDescription* ReferringPhysicianName* NameOfPhysiciansReadingStudy
        ProcedureCodeSequence AdmittingDiagnosesDescription PatientAge PatientSize PatientWeight
        Occupation AdditionalPatientHistory TimezoneOffsetFromUTC
    """,
    Level.SERIES: """
        SeriesInstanceUID* Modality* SeriesNumber SeriesDescription* SeriesDate* SeriesTime
        BodyPartExamined* ProtocolName StationName* Laterality InstitutionName
        InstitutionalDepartmentName Manufacturer ManufacturerModelName PerformingPhysicianName
        OperatorsName PerformedProcedureStepStartDate* PerformedProcedureStepStartTime
        PerformedProcedureStepID RequestAttributesSequence
    """,
    Level.IMAGE: """
        SOPInstanceUID* SOPClassUID* InstanceNumber ContentDate ContentTime AcquisitionNumber
        AcquisitionDate AcquisitionTime AcquisitionDateTime Rows Columns BitsAllocated
        NumberOfFrames ConceptNameCodeSequence ContentLabel ContentDescription
    """,
}

Stored = str | int | float | None


@frozen
class Match:
    """A column that conditions compare with, and how a value becomes what it holds."""

    column: str
    of: Callable[[str], Stored]


@frozen
class Attribute:
    """An attribute in the catalog.

    Its text as received is in a column named after its keyword, several values joined by a
    backslash. `matches` are the columns to compare with: that same column, or derived ones.

    `varying` is the attribute as the table of variants has it, see :mod:`pacs_core.relational`.
    `is_sorted` tells whether there is a column for what it is sorted by where SQL cannot tell.
    """

    tag: int
    keyword: str
    vr: str
    level: Level
    indexed: bool
    is_variant: bool = False
    is_sorted: bool = False

    @cached_property
    def kept(self) -> Level:
        """The level of the table that holds it: each study has its patient's attributes."""
        of_patient = self.level is Level.PATIENT and self.keyword not in PATIENT_KEYS
        return Level.STUDY if of_patient else self.level

    @cached_property
    def table(self) -> str:
        """Name of the table that holds it."""
        return f"{TABLES[self.kept]}{'_variant' if self.is_variant else ''}"

    @cached_property
    def varying(self) -> "Attribute | None":
        """The attribute in the table of variants; None if it cannot differ."""
        if self.kept not in VARYING or self.keyword in IDENTITY:
            return None
        return evolve(self, is_variant=True)

    @cached_property
    def single(self) -> bool:
        """Whether a backslash is part of the text (PS3.5 §6.2: LT, ST, UT, UR)."""
        return self.vr in {"LT", "ST", "UT", "UR"}

    @cached_property
    def matches(self) -> tuple[Match, ...]:
        """Return the columns that conditions compare with."""
        if self.vr == "PN":
            return tuple(
                Match(f"{self.keyword}_{name}", _group(index))
                for index, name in enumerate(("alphabetic", "ideographic", "phonetic"))
            )
        if self.vr in MOMENT_VRS:
            return (
                Match(
                    f"{self.keyword}_order",
                    (lambda value: next(iter(comparables(self.vr, value)), None)),
                ),
            )
        if self.vr in {"IS", "US", "UL", "SS", "SL"}:
            return (Match(f"{self.keyword}_number", number),)
        if self.vr == "SQ":
            return ()
        return (Match(self.keyword, str),)

    @property
    def sound(self) -> str:
        """What rows of `several` are called that hold how the parts of a name sound."""
        return f"{self.keyword}_sound"

    @property
    def sounds_indexed(self) -> bool:
        """Whether the sounds of the name are stored."""
        return self.vr == "PN" and self.indexed

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every column of the attribute, its text first."""
        derived = (match.column for match in self.matches if match.column != self.keyword)
        return (self.keyword, *derived, *self.sort_columns)

    @cached_property
    def sort_columns(self) -> tuple[str, ...]:
        """The column with what it is sorted by, as far as that is not plain from the others."""
        return (f"{self.keyword}_sort",) if self.is_sorted and self.vr != "SQ" else ()

    def values(self, text: str) -> tuple[Value, ...]:
        """Return the values whose text is in the attribute's column."""
        if self.vr == "SQ":
            return from_json(text)
        return (text,) if self.single else tuple(text.split("\\"))

    def row(self, values: tuple[str | Attributes, ...], offset: str = "") -> tuple[Stored, ...]:
        """Return what the columns hold for the attribute's values.

        `offset` is the Timezone Offset From UTC of the instance that they come from.
        """
        if self.vr == "SQ":
            return (to_json(values) if values else None,)
        texts = [value for value in values if isinstance(value, str)]
        if not any(texts):
            return (None,) * len(self.columns)
        joined = "\\".join(texts)
        derived: tuple[Stored, ...] = ()
        if len(texts) > 1 and not self.single:
            derived = (None,) * (len(self.columns) - 1 - len(self.sort_columns))
        elif self.vr == "DT":
            derived = comparables("DT", joined, offset)[:1] or (None,)
        elif len(self.columns) - len(self.sort_columns) > 1:
            derived = tuple(match.of(joined) for match in self.matches)
        if not self.sort_columns:
            return (joined, *derived)
        return (joined, *derived, self._sort_value(texts, derived))

    def _sort_value(self, texts: list[str], derived: tuple[Stored, ...]) -> Stored:
        """Return what `texts` are sorted by; None if it is what :attr:`sorted_by` says.

        NaN, or empty text, says that there is nothing to sort by, although that says something.
        """
        key = sort_key(self.vr, self.values("\\".join(texts)))  # type: ignore[arg-type]
        if self.vr in MOMENT_VRS or self.vr == "PN" or self.vr in NUMBER_VRS - {"DS"}:
            plain = derived[0]
        elif self.vr == "DS":
            plain = None
        else:
            plain = texts[0].lower() if len(texts) == 1 and texts[0].isascii() else None
        if key == plain:
            return None
        nothing = float("nan") if self.vr in NUMBER_VRS else ""
        return nothing if key is None else key

    @cached_property
    def sorted_by(self) -> str:
        """The column that it is sorted by where the one of `sort_columns` is NULL."""
        has_own = self.vr in MOMENT_VRS or self.vr == "PN" or self.vr in NUMBER_VRS - {"DS"}
        return self.matches[0].column if has_own else self.keyword

    def several(
        self, values: tuple[str | Attributes, ...], offset: str = ""
    ) -> list[tuple[str, Stored]]:
        """Return the rows of the table `several`.

        They are the values of many, the further forms of date-times, and how names sound.
        """
        texts = [value for value in values if isinstance(value, str) and value]
        rows: list[tuple[str, Stored]] = []
        if self.vr == "DT":
            forms = [form for text in texts for form in comparables("DT", text, offset)]
            rows = [(self.matches[0].column, form) for form in forms[len(values) == 1 :]]
        elif len(values) > 1 and not self.single:
            rows = [(m.column, m.of(text)) for text in texts for m in self.matches]
        if self.sounds_indexed:
            rows += [(self.sound, key) for text in texts for key in sounds(text.split("=")[0])]
        return [row for row in rows if row[1] is not None]


def _group(index: int) -> Callable[[str], str | None]:
    def group(name: str) -> str | None:
        groups = name_groups(name)
        return groups[index] or None if index < len(groups) else None

    return group


def number(value: str) -> int | None:
    """Return a number of 64 bits; None for anything else."""
    try:
        found = int(value[:32])
    except ValueError:
        return None
    return found if -(2**63) <= found < 2**63 else None


@frozen
class Computed:
    """An attribute that is worked out from the rows below (PS3.4 C.3.4).

    Either the distinct values of the attribute `of` at a level below, or, without it, the
    number of entities at the level `counts`.
    """

    tag: int
    level: Level
    counts: Level
    of: str = ""


ZONES = {
    level: Attribute(TIMEZONE_OFFSET, keyword_of(TIMEZONE_OFFSET), "SH", level, indexed=False)
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE)
}
"""Timezone Offset From UTC, of each level: studies have series of devices in other zones."""

COMPUTED = tuple(
    Computed(tag_of(keyword), level, counts, of)
    for keyword, level, counts, of in (
        ("ModalitiesInStudy", Level.STUDY, Level.SERIES, "Modality"),
        ("SOPClassesInStudy", Level.STUDY, Level.IMAGE, "SOPClassUID"),
        ("NumberOfPatientRelatedStudies", Level.PATIENT, Level.STUDY, ""),
        ("NumberOfPatientRelatedSeries", Level.PATIENT, Level.SERIES, ""),
        ("NumberOfPatientRelatedInstances", Level.PATIENT, Level.IMAGE, ""),
        ("NumberOfStudyRelatedSeries", Level.STUDY, Level.SERIES, ""),
        ("NumberOfStudyRelatedInstances", Level.STUDY, Level.IMAGE, ""),
        ("NumberOfSeriesRelatedInstances", Level.SERIES, Level.IMAGE, ""),
    )
)


@define(eq=False)
class Catalog:
    """Every attribute that an index holds or computes, by tag."""

    attributes: Mapping[int, Attribute]
    computed: Mapping[int, Computed] = field(factory=lambda: {c.tag: c for c in COMPUTED})

    def at(self, level: Level) -> tuple[Attribute, ...]:
        """Return the attributes kept at exactly this level."""
        own = tuple(a for a in self.attributes.values() if a.kept is level)
        has_zone = level not in ZONES or TIMEZONE_OFFSET in {a.tag for a in own}
        return own if has_zone else (*own, ZONES[level])

    def non_key_attributes(self, level: Level) -> tuple[Attribute, ...]:
        """Return those of them that are not keys."""
        return tuple(a for a in self.at(level) if a.keyword not in IDENTITY)

    def stored_attribute(self, tag: int, level: Level) -> Attribute:
        """Return an attribute as results at a level have it; each has a zone of its own."""
        return ZONES[level] if tag == TIMEZONE_OFFSET else self.attributes[tag]

    def searchable(self, level: Level) -> frozenset[int]:
        """Return the tags of this level and those above."""
        known: Iterable[Attribute | Computed] = (
            *self.attributes.values(),
            *self.computed.values(),
        )
        return frozenset(a.tag for a in known if a.level.depth <= level.depth)

    def keyword(self, keyword: str) -> Attribute:
        """Return the attribute with this keyword."""
        return self.attributes[tag_of(keyword)]


def build_catalog(
    further: Iterable[FurtherAttribute] = (), *, plugin: str = "", is_sorted: bool = False
) -> Catalog:
    """Return the catalog, with the attributes that the configuration adds.

    Parameters
    ----------
    further : iterable of FurtherAttribute
    plugin : str
        Whose table of the configuration has them, for errors.
    is_sorted : bool
        Whether there are columns for what attributes are sorted by.

    Raises
    ------
    ValueError
        An attribute is named twice, or cannot be indexed.
    """
    found: dict[int, Attribute] = {}
    for level, words in ATTRIBUTES.items():
        for word in words.split():
            _include(found, word.rstrip("*"), level, word.endswith("*"), plugin)
    for extra in further:
        _include(found, extra.keyword, Level(extra.level.upper()), extra.indexed, plugin)
    return Catalog({tag: evolve(each, is_sorted=is_sorted) for tag, each in found.items()})


def _include(
    found: dict[int, Attribute], word: str, level: Level, indexed: bool, plugin: str
) -> None:
    tag = tag_of(word)
    # A private attribute has no keyword but hexadecimal digits: not a name in SQL by itself.
    name = keyword_of(tag) if keyword_of(tag)[0].isalpha() else f"tag_{tag:08X}"
    if tag in found or tag in {c.tag for c in COMPUTED}:
        known = found[tag].level.value.lower() if tag in found else "computed"
        raise ValueError(
            f"[plugin.{plugin}] attributes: {name} is in the index already ({known}); remove it"
        )
    vr = vr_of(tag)
    if vr in {"OB", "OD", "OF", "OL", "OV", "OW"}:
        raise ValueError(f"[plugin.{plugin}] attributes: {name} ({vr}) has no text to index")
    found[tag] = Attribute(tag, name, vr, level, indexed)


def json_of(values: Iterable[object]) -> str:
    """Return a list of texts or numbers for one bound parameter, read with ``json_each``."""
    return json.dumps(list(values))
