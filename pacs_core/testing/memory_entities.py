"""Entities worked out from all records for each question: the contract of indexes, plainly.

An index that keeps its records in memory can answer with it; others are compared with it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final, TypeAlias

from attrs import define, evolve, field

from pacs_core.contracts import (
    MOMENT_VRS,
    AllOf,
    Conflict,
    ConflictKind,
    DateTimeRange,
    Either,
    Empty,
    InstanceRecord,
    Level,
    Not,
    Order,
    Query,
    Restriction,
    StoredInstance,
    admits,
    comparables,
    matches,
    merge,
    name_groups,
    patient_name_of,
    restricted_tags,
)
from pacs_core.dataset import Attributes, MutableAttributes, keyword_of, tag_of, texts, vr_of
from pacs_core.testing.memory_order import sort_results

Path: TypeAlias = tuple[str, ...]
"""Names an entity: patient, study, series and instance, as far as its level goes."""

_PATIENT_KEYS: Final = (tag_of("PatientID"), tag_of("IssuerOfPatientID"))
_KEYS: Final = frozenset({*_PATIENT_KEYS, tag_of("StudyInstanceUID"), tag_of("SeriesInstanceUID")})
_DEMOGRAPHICS: Final = tuple(map(tag_of, ("PatientName", "PatientBirthDate", "PatientSex")))
_OF_INSTANCES: Final = {
    tag_of("ModalitiesInStudy"): tag_of("Modality"),
    tag_of("SOPClassesInStudy"): tag_of("SOPClassUID"),
}
"""What a study lists of its instances: any value of theirs finds it, listed or not."""
_NUMBER: Final = tag_of("InstanceNumber")
_MOMENTS: Final = (("DA", tag_of("StudyDate")), ("TM", tag_of("StudyTime")))


def path_in_hierarchy(record: InstanceRecord) -> Path:
    """Return the whole path of an instance; without a Patient ID the study has its own patient."""
    identity = record.instance.identity
    patient_id, issuer = ("\\".join(texts(record.attributes, tag)) for tag in _PATIENT_KEYS)
    alone = "" if patient_id else identity.study_instance_uid
    return (
        "\0".join((patient_id, issuer, alone)),
        identity.study_instance_uid,
        identity.series_instance_uid,
        identity.sop_instance_uid,
    )


def header_of(record: InstanceRecord, kept: Mapping[Level, frozenset[int]]) -> Path:
    """Return text that instances share which say the same of patient, study and series."""
    upper = kept[Level.PATIENT] | kept[Level.STUDY] | kept[Level.SERIES]
    said = {tag: record.attributes[tag] for tag in sorted(upper) if tag in record.attributes}
    return (*path_in_hierarchy(record)[:3], repr(said))


@define
class Entities:
    """Patients, studies, series and instances.

    Parameters
    ----------
    records : sequence of InstanceRecord
    kept : mapping of Level to frozenset of int
        Tags of the attributes that are kept, by the level to which they belong.
    """

    records: Sequence[InstanceRecord]
    kept: Mapping[Level, frozenset[int]]
    _below: dict[Path, list[InstanceRecord]] = field(factory=dict, init=False)
    _described: dict[Path, Attributes] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        for record in self.records:
            path = path_in_hierarchy(record)
            for depth in range(1, 5):
                self._below.setdefault(path[:depth], []).append(record)

    def paths(self, level: Level) -> list[Path]:
        """Return the entities of a level, in the order of their first records."""
        return [path for path in self._below if len(path) == level.depth + 1]

    def describe(self, path: Path) -> Attributes:
        """Return the attributes of an entity, of those above, and computed ones."""
        if path not in self._described:
            above = self.describe(path[:-1]) if len(path) > 1 else {}
            own = _DESCRIBED[len(path) - 1](self, path)
            self._described[path] = {**above, **own, **self._compute(path)}
        return self._described[path]

    def _patient(self, path: Path) -> Attributes:
        studies = sorted(self._children(path), key=self._moment, reverse=True)
        described = [self._study(study) for study in studies]
        keys = {tag: self._below[path][0].attributes.get(tag, ()) for tag in _PATIENT_KEYS}
        own = {
            tag: next((study[tag] for study in described if study.get(tag)), ())
            for tag in self.kept[Level.PATIENT] - {*_PATIENT_KEYS}
        }
        return {**own, **keys}

    def _study(self, path: Path) -> Attributes:
        tags = (self.kept[Level.PATIENT] | self.kept[Level.STUDY]) - _KEYS
        merged = self._merge_records(Level.STUDY, tags, path)
        return {**dict.fromkeys(tags, ()), **merged, tag_of("StudyInstanceUID"): (path[1],)}

    def _series(self, path: Path) -> Attributes:
        tags = self.kept[Level.SERIES] - _KEYS
        merged = self._merge_records(Level.SERIES, tags, path)
        return {**dict.fromkeys(tags, ()), **merged, tag_of("SeriesInstanceUID"): (path[2],)}

    def _instance(self, path: Path) -> Attributes:
        tags = self.kept[Level.IMAGE]
        return {**dict.fromkeys(tags, ()), **_only(tags, self._below[path][0].attributes)}

    def _merge_records(self, level: Level, tags: frozenset[int], path: Path) -> Attributes:
        return merge(level, [_only(tags, record.attributes) for record in self._below[path]])

    def _children(self, path: Path) -> list[Path]:
        return [p for p in self._below if len(p) == len(path) + 1 and p[: len(path)] == path]

    def _moment(self, path: Path) -> tuple[str, ...]:
        study = self._study(path)
        found = [(vr, texts(study, tag)[:1]) for vr, tag in _MOMENTS]
        moment = ("".join(comparables(vr, *value)) if value else "" for vr, value in found)
        return *moment, path[1]

    def _compute(self, path: Path) -> Attributes:
        level = len(path) - 1
        below = {depth: set[Path]() for depth in range(4)}
        for record in self._below[path]:
            whole = path_in_hierarchy(record)
            for depth in below:
                below[depth].add(whole[: depth + 1])
        found: MutableAttributes = {
            tag_of(f"NumberOf{name}Related{what}"): (str(len(below[depth])),)
            for name, what, own, depth in _COUNTED
            if own == level
        }
        if level == Level.STUDY.depth:
            series = [self._series(p) for p in below[Level.SERIES.depth]]
            records = [record.attributes for record in self._below[path]]
            found[tag_of("ModalitiesInStudy")] = _distinct(series, tag_of("Modality"))
            found[tag_of("SOPClassesInStudy")] = _distinct(records, tag_of("SOPClassUID"))
        return found

    # Queries

    def permit(self, restrictions: Sequence[Restriction]) -> "Entities":
        """Return what there is of the entities where no other records exist.

        Raises
        ------
        ValueError
            A restriction is about an attribute that is not kept.
        """
        kept = frozenset().union(*self.kept.values())
        if unknown := restricted_tags(tuple(restrictions)) - kept:
            raise ValueError(f"the index does not keep {', '.join(map(keyword_of, unknown))}")
        records = [
            record
            for record in self.records
            if all(admits(each, record.attributes) for each in restrictions)
        ]
        return Entities(records, self.kept)

    def find(self, query: Query) -> dict[Path, Attributes]:
        """Return the entities that match, with their attributes."""
        if query.restrictions:
            return self.permit(query.restrictions).find(evolve(query, restrictions=()))
        found: Iterable[Path] = (
            path
            for path in self.paths(query.level)
            if all(self._holds(condition, path) for condition in query.conditions)
        )
        for order in reversed(query.order):
            self._check_order(order, query.level)
            found = sort_results(found, order, self.describe)
        stop = None if query.limit is None else query.offset + query.limit
        return {path: self.describe(path) for path in islice(found, query.offset, stop)}

    def _check_order(self, order: Order, level: Level) -> None:
        levels = [each for each in Level if each.depth <= level.depth]
        if not any(order.tag in self.kept[each] for each in levels):
            raise ValueError(f"the index does not sort {level.value} by {keyword_of(order.tag)}")

    def instances(self, query: Query) -> list[StoredInstance]:
        """Return the instances at or below what matches, in the order of retrieval."""
        if query.restrictions:
            return self.permit(query.restrictions).instances(evolve(query, restrictions=()))
        depth = query.level.depth + 1
        found = self.find(evolve(query, order=()))
        held = [r for r in self.records if path_in_hierarchy(r)[:depth] in found]
        return [record.instance for record in sorted(held, key=_retrieval_order)]

    def _holds(self, condition: Restriction, path: Path) -> bool:
        if isinstance(condition, Either):
            return any(self._holds(each, path) for each in condition.restrictions)
        if isinstance(condition, AllOf | Not):
            raise TypeError("conditions of a query are neither AllOf nor Not")
        tag = condition.date_tag if isinstance(condition, DateTimeRange) else condition.tag
        if isinstance(condition, Empty) and tag in self.kept[Level.PATIENT]:
            return matches(condition, self.describe(path))
        kept = self._depth_of(tag)
        shown = self._shown(path, kept)
        if any(matches(condition, attributes) for attributes in shown):
            return True
        of = _OF_INSTANCES.get(tag, tag)
        if isinstance(condition, Empty) or (kept is None and of == tag):
            return False
        depth = Level.STUDY.depth if kept is None else kept
        held = (record.attributes for record in self._below[path[: min(depth, len(path) - 1) + 1]])
        return any(matches(condition, {**each, tag: each.get(of, ())}) for each in held)

    def _depth_of(self, tag: int) -> int | None:
        """Return the depth of the level that keeps an attribute; None if it is computed."""
        for level in Level:
            if tag in self.kept[level]:
                of_patient = level is Level.PATIENT and tag not in _PATIENT_KEYS
                return Level.STUDY.depth if of_patient else level.depth
        return None

    def _shown(self, path: Path, kept: int | None) -> Iterator[Attributes]:
        """Yield what the entity shows, and what those below it show if that is asked about."""
        if kept is None or kept < len(path):
            yield self.describe(path)
        if kept is None or kept >= len(path):
            for record in self._below[path]:
                whole = path_in_hierarchy(record)
                yield self.describe(whole if kept is None else whole[: kept + 1])

    # Conflicts

    def conflicts(self) -> set[Conflict]:
        """Return all conflicts."""
        return set(self._conflicts())

    def _conflicts(self) -> Iterator[Conflict]:
        for path in self.paths(Level.PATIENT):
            studies = [self._study(study) for study in self._children(path)]
            name = patient_name_of(*path[0].split("\0")[:2])
            yield from _find_differing(ConflictKind.PATIENT, name, studies, _DEMOGRAPHICS)
        places = (
            (ConflictKind.STUDY, Level.STUDY, 0),
            (ConflictKind.SERIES, Level.SERIES, 1),
            (ConflictKind.INSTANCE, Level.IMAGE, 1),
        )
        for kind, level, where in places:
            yield from self._in_several(kind, level, where)
        for level in (Level.STUDY, Level.SERIES):
            yield from self._within(level)

    def _in_several(self, kind: ConflictKind, level: Level, where: int) -> Iterator[Conflict]:
        found: dict[str, set[str]] = {}
        for path in self.paths(level):
            found.setdefault(path[-1], set()).add(path[where])
        for uid, places in found.items():
            if len(places) > 1:
                named = kind is ConflictKind.STUDY
                values = [patient_name_of(*p.split("\0")[:2]) if named else p for p in places]
                yield Conflict(kind, uid, tuple(values))

    def _within(self, level: Level) -> Iterator[Conflict]:
        is_study = level is Level.STUDY
        kind = ConflictKind.STUDY_ATTRIBUTE if is_study else ConflictKind.SERIES_ATTRIBUTE
        tags = self.kept[level] | (self.kept[Level.PATIENT] if is_study else frozenset())
        for path in self.paths(level):
            records = [record.attributes for record in self._below[path]]
            differing = partial(_find_differing, kind, path[-1], records, sorted(tags - _KEYS))
            yield from differing("" if is_study else path[1])


def _find_differing(
    kind: ConflictKind, uid: str, held: Sequence[Attributes], tags: Iterable[int], study: str = ""
) -> Iterator[Conflict]:
    for tag in tags:
        values = {"\\".join(found) for each in held if any(found := texts(each, tag))}
        if len({_comparable_form(tag, value) for value in values}) > 1 and vr_of(tag) != "SQ":
            yield Conflict(kind, uid, tuple(values), keyword_of(tag), study)


def _comparable_form(tag: int, value: str) -> str:
    vr = vr_of(tag)
    if "\\" in value:
        return value
    if vr == "PN":
        return name_groups(value)[0] or value
    return "".join(comparables(vr, value)[:1]) if vr in MOMENT_VRS else value


def _only(tags: Iterable[int], attributes: Attributes) -> Attributes:
    return {tag: attributes[tag] for tag in tags if tag in attributes}


def _distinct(held: Iterable[Attributes], tag: int) -> tuple[str, ...]:
    return tuple(sorted({value for each in held for value in texts(each, tag)}))


def _retrieval_order(record: InstanceRecord) -> tuple[str, str, str, int, str]:
    number = "".join(texts(record.attributes, _NUMBER)[:1])
    patient, study, series, instance = path_in_hierarchy(record)
    return study, patient, series, int(number) if number.isdecimal() else 0, instance


_DESCRIBED: Final[Sequence[Callable[[Entities, Path], Attributes]]] = (
    Entities._patient,
    Entities._study,
    Entities._series,
    Entities._instance,
)
_COUNTED: Final = (
    ("Patient", "Studies", 0, 1),
    ("Patient", "Series", 0, 2),
    ("Patient", "Instances", 0, 3),
    ("Study", "Series", 1, 2),
    ("Study", "Instances", 1, 3),
    ("Series", "Instances", 2, 3),
)
