"""Which Storage SOP classes to offer for a C-GET: those that the peer holds (PS3.4 C.4.3.1.4)."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from itertools import islice

from attrs import frozen

from pacs_core.association import MAX_CONTEXTS, Association, NoContextError, Proposal
from pacs_core.cli.keys import UNIQUE_KEYS, Level, at_level
from pacs_core.cli.models import Model
from pacs_core.cli.session import Session
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, Attributes, texts
from pacs_core.dimse import is_valid_uid

SOP_CLASS, SOP_CLASSES_IN_STUDY = 0x0008_0016, 0x0008_0062
_MOST_ENTITIES = 1000
"""Series that are looked into; more would take longer than they are worth."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
COMMON = tuple(
    _STORAGE + suffix
    for suffix in (
        # CR, DX, MG; CT, MR, their enhanced forms; US; NM, PET; SC; XA, RF; RT; SR, KO, PR; others
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3"),
        *("2", "2.1", "4", "4.1", "4.2"),
        *("3.1", "6.1", "6.2"),
        *("20", "128", "130"),
        *("7", "7.1", "7.2", "7.3", "7.4"),
        *("12.1", "12.1.1", "12.2", "12.2.1", "13.1.3"),
        *("481.1", "481.2", "481.3", "481.5", "481.8"),
        *("88.11", "88.22", "88.33", "88.34", "88.59", "88.67", "11.1"),
        *("9.1.1", "66.4", "66.5", "77.1.1", "77.1.4", "77.1.5.1", "77.1.6", "104.1"),
    )
)
"""What is offered to a peer that does not say what it holds (PS3.4 Table B.5-1)."""

_FIRST = ("1", "", "4.70", "4.90", "4.50", "5", "4.80", "4.91", "4.81", "4.51", "4.201")
"""Ends of the transfer syntaxes that archives hold most, most frequent first."""


def _ranked_syntaxes() -> tuple[str, ...]:
    root = "1.2.840.10008.1.2"
    first = [f"{root}.{end}" if end else root for end in _FIRST]
    everything = [syntax.uid for syntax in ALL_TRANSFER_SYNTAXES if "JPIP" not in syntax.name]
    return tuple(dict.fromkeys([*first, *everything]))


_SYNTAXES = _ranked_syntaxes()


def storage_proposals(sop_classes: Iterable[str]) -> Iterator[Proposal]:
    """Return contexts in which the peer can store, as many as fit beside the one for C-GET.

    The acceptor takes one transfer syntax of a context. So each has a context of its own as far
    as there is room, and the last context of a SOP class has what is left.
    """
    chosen = list(dict.fromkeys(sop_classes))[: MAX_CONTEXTS - 1]
    for number, sop_class in enumerate(chosen):
        share = (MAX_CONTEXTS - 1 + number) // len(chosen)
        single = _SYNTAXES[: share - 1]
        for syntax in single:
            yield Proposal(sop_class, (syntax,), scu=False, scp=True)
        if rest := _SYNTAXES[share - 1 :]:
            yield Proposal(sop_class, rest, scu=False, scp=True)


async def storage_classes(
    session: Session, model: Model, level: Level, keys: Attributes
) -> tuple[str, ...]:
    """Ask the peer for the SOP classes of what is to be retrieved.

    Returns
    -------
    tuple of str
        Those, or the most common ones if the peer does not say.
    """
    try:
        async with session.associate([Proposal(model.find)]) as association:
            found = await _ask(association, model.find, level, keys)
    except NoContextError:
        found = set()
    return tuple(sorted(filter(is_valid_uid, found))) or COMMON


async def _ask(
    association: Association, sop_class: str, level: Level, keys: Attributes
) -> set[str]:
    query = _Query(association, sop_class)
    unique = UNIQUE_KEYS[level]
    entities: list[Attributes] = [{**keys, unique: (uid,)} for uid in texts(keys, unique)]
    if level in ("patient", "study"):
        studies = await query.entities("study", entities, SOP_CLASSES_IN_STUDY)
        classes = {uid for study in studies for uid in texts(study, SOP_CLASSES_IN_STUDY)}
        if classes:
            return classes
        entities, level = studies, "study"
    if level == "study":
        entities, level = await query.entities("series", entities), "series"
    images = await query.entities("image", entities, SOP_CLASS)
    return {uid for image in images for uid in texts(image, SOP_CLASS)}


@frozen
class _Query:
    """Goes down the hierarchy, as a peer demands that knows no relational queries."""

    association: Association
    sop_class: str

    async def entities(
        self, level: Level, parents: Iterable[Attributes], *returned: int
    ) -> list[Attributes]:
        """Return the entities of a level below others: their unique keys, and what is asked for."""
        found: list[Attributes] = []
        for parent in islice(parents, _MOST_ENTITIES):
            keys = {tag: parent[tag] for tag in UNIQUE_KEYS.values() if tag in parent}
            wanted = dict.fromkeys((UNIQUE_KEYS[level], *returned), ())
            matches = self._matches(at_level(level, {**wanted, **keys}))
            found += [{**keys, **match} async for match in matches]
        return found

    async def _matches(self, identifier: Attributes) -> AsyncIterator[Attributes]:
        async with aclosing(self.association.c_find(self.sop_class, identifier)) as responses:
            async for _, match in responses:
                if match is not None:
                    yield match
