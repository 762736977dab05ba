"""Divides a C-GET into retrievals whose presentation contexts each fit one association.

A peer sends an instance as it is stored only if a context was accepted for its SOP class and its
transfer syntax; else it converts it, or fails. All transfer syntaxes of more than three image SOP
classes do not fit into the 128 contexts of an association (PS3.8 §7.1.1.13). So the peer is asked
for the SOP classes of each study first, of each series of a study that does not fit, and of each
instance of such a series; parts that fit together are retrieved together.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing

from attrs import define, frozen

from pacs_core.association import Association, NoContextError, Proposal
from pacs_core.cli.keys import UNIQUE_KEYS, Level, at_level
from pacs_core.cli.models import ModelUids
from pacs_core.cli.session import Session
from pacs_core.cli.sop_classes import COMMON, fit_one_association
from pacs_core.dataset import Attributes, texts
from pacs_core.dimse import is_valid_uid

# Theory of operation
#
# C-GET stores on the association that asks, so the SOP classes of what comes must be proposed
# before anything is known of it; and an association holds 128 presentation contexts (PS3.8
# §9.3.2.2), far fewer than there are SOP classes times transfer syntaxes. So the peer is asked
# first: C-FIND for the SOP classes in a study, or, if it does not say or they do not fit, of its
# series, or of its instances. What comes out is divided into groups that fit an association each.
#
# Peers answer differently, and some not at all. The questions are put without relying on relational
# queries, their number is limited, and where they lead to nothing there is one retrieval that
# proposes the common storage classes: most likely it gets everything.

SOP_CLASS, SOP_CLASSES_IN_STUDY = 0x0008_0016, 0x0008_0062

_MOST_QUERIES = 1000
"""Queries to find out what there is; more would take longer than they are worth."""

_LONGEST_LIST = 500
"""UIDs in one identifier: a UI value has less than 64 KiB in explicit VR (PS3.5 §7.1.2)."""


@frozen
class RetrievalPart:
    """A study, series or instance, and the SOP classes in it.

    Attributes
    ----------
    level : str
    keys : Attributes
        Its unique key, and those of what it belongs to.
    sop_classes : frozenset of str
    """

    level: Level
    keys: Attributes
    sop_classes: frozenset[str]


@frozen
class Retrieval:
    """What is retrieved on one association.

    Attributes
    ----------
    sop_classes : tuple of str
        To be proposed.
    identifiers : tuple of Attributes
        Of one C-GET each.
    is_exact : bool
        Whether each transfer syntax of each SOP class can be proposed.
    """

    sop_classes: tuple[str, ...]
    identifiers: tuple[Attributes, ...]
    is_exact: bool


async def plan_retrievals(
    session: Session, model: ModelUids, level: Level, keys: Attributes
) -> list[Retrieval]:
    """Ask the peer what there is to retrieve, and divide it into what fits an association each.

    Where the peer does not say, or it would take too long to find out, there is one retrieval that
    proposes as much as it can.
    """
    parts: list[RetrievalPart] = []
    is_complete = False
    try:
        async with session.associate([Proposal(model.find)]) as association:
            query = _Query(association, model.find)
            parts = await query.parts(level, keys)
            is_complete = bool(parts) and query.is_complete
    except NoContextError:
        pass
    groups = _groups(parts) if is_complete else []
    if len(groups) > 1:
        return [_retrieval(group, tuple(_identifiers(group))) for group in groups]
    return [_retrieval(parts, (at_level(level, keys),), is_complete=is_complete)]


def _retrieval(
    parts: Iterable[RetrievalPart], identifiers: tuple[Attributes, ...], *, is_complete: bool = True
) -> Retrieval:
    classes = tuple(sorted(set().union(*(part.sop_classes for part in parts)))) or COMMON
    return Retrieval(classes, identifiers, is_complete and fit_one_association(classes))


def _groups(parts: Iterable[RetrievalPart]) -> list[list[RetrievalPart]]:
    groups: list[tuple[set[str], list[RetrievalPart]]] = []
    # Sorted, so that parts with the same classes meet, and groups are few.
    for part in sorted(parts, key=lambda part: sorted(part.sop_classes)):
        for classes, members in groups:
            if fit_one_association(classes | part.sop_classes):
                classes |= part.sop_classes
                members.append(part)
                break
        else:
            groups.append((set(part.sop_classes), [part]))
    return [members for _, members in groups]


def _identifiers(parts: Iterable[RetrievalPart]) -> Iterator[Attributes]:
    """Return identifiers for parts, several of one level and parent together (C.4.3.1.3.1)."""
    together: dict[tuple[Level, tuple[tuple[int, object], ...]], list[RetrievalPart]] = {}
    for part in parts:
        above = tuple(sorted((t, v) for t, v in part.keys.items() if t != UNIQUE_KEYS[part.level]))
        together.setdefault((part.level, above), []).append(part)
    for (level, _), members in together.items():
        own = UNIQUE_KEYS[level]
        uids = [uid for member in members for uid in texts(member.keys, own)]
        for start in range(0, len(uids), _LONGEST_LIST):
            some = tuple(uids[start : start + _LONGEST_LIST])
            yield at_level(level, {**members[0].keys, own: some})


@define
class _Query:
    """Goes down the hierarchy, as a peer demands that knows no relational queries."""

    association: Association
    sop_class: str
    is_complete: bool = True
    _queries: int = 0

    async def parts(self, level: Level, keys: Attributes) -> list[RetrievalPart]:
        unique = UNIQUE_KEYS[level]
        named: list[Attributes] = [{**keys, unique: (uid,)} for uid in texts(keys, unique)]
        if level == "image":
            images = await self._entities("image", named, SOP_CLASS)
            return self._note_completeness(
                [_make_part("image", [image], SOP_CLASS) for image in images]
            )
        if level == "series":
            return await self._series(named)
        found = []
        for study in await self._entities("study", named, SOP_CLASSES_IN_STUDY):
            part = _make_part("study", [study], SOP_CLASSES_IN_STUDY)
            # SOP Classes in Study (0008,0062) is optional: without it, the series are asked about.
            if part.sop_classes and fit_one_association(part.sop_classes):
                found.append(part)
            else:
                found += await self._series(await self._entities("series", [part.keys]))
        return found

    async def _series(self, series: Iterable[Attributes]) -> list[RetrievalPart]:
        found = []
        for each in series:
            images = await self._entities("image", [each], SOP_CLASS)
            part = _make_part("series", images or [each], SOP_CLASS)
            if fit_one_association(part.sop_classes):
                found.append(part)
            else:
                found += [_make_part("image", [image], SOP_CLASS) for image in images]
        return self._note_completeness(found)

    def _note_completeness(self, parts: list[RetrievalPart]) -> list[RetrievalPart]:
        self.is_complete &= all(part.sop_classes for part in parts)
        return parts

    async def _entities(
        self, level: Level, parents: Iterable[Attributes], *returned: int
    ) -> list[Attributes]:
        """Return the entities of a level below others: their unique keys, and what is asked for."""
        found: list[Attributes] = []
        for parent in parents:
            if self._queries == _MOST_QUERIES:
                self.is_complete = False
                break
            self._queries += 1
            # All keys above are given: a peer need not answer relational queries (C.4.1.2.2).
            keys = {tag: parent[tag] for tag in UNIQUE_KEYS.values() if tag in parent}
            wanted = dict.fromkeys((UNIQUE_KEYS[level], *returned), ())
            matches = self._matches(at_level(level, {**wanted, **keys}))
            found += [
                {**keys, **{tag: match[tag] for tag in wanted if tag in match}}
                async for match in matches
            ]
        return found

    async def _matches(self, identifier: Attributes) -> AsyncIterator[Attributes]:
        async with aclosing(self.association.c_find(self.sop_class, identifier)) as responses:
            async for _, match in responses:
                if match is not None:
                    yield match


def _make_part(level: Level, entities: Sequence[Attributes], classes: int) -> RetrievalPart:
    """Return what entities are together: a study or an image itself, or the series of images."""
    levels = list(UNIQUE_KEYS)
    tags = [UNIQUE_KEYS[each] for each in levels[levels.index(level) :]]
    keys = {tag: entities[0][tag] for tag in tags if tag in entities[0]}
    uids = {uid for entity in entities for uid in texts(entity, classes)}
    return RetrievalPart(level, keys, frozenset(filter(is_valid_uid, uids)))
