"""Losses of a correction that nobody has asked for, found before it is made.

A sequence that is set becomes what is given: whatever else its items hold would go. An instance
that refers to its own study by UID would refer to one that is not there once the study has another.
"""

from collections.abc import AsyncIterator, Iterator, Mapping

from pacs_core.concurrency import closing
from pacs_core.contracts import Archive, EntityPath, Level, Query
from pacs_core.dataset import Changes, DataElement, ElementSet, keyword_of, tag_of

_STUDY = tag_of("StudyInstanceUID")
_HISTORY = tag_of("OriginalAttributesSequence")
_EXTENDED = tag_of("OtherPatientIDsSequence")
"""Items are added to it, see :meth:`Archive.update`."""


async def find_losses(
    archive: Archive, entity: EntityPath, changes: Changes, *, replace: bool, leave: bool
) -> AsyncIterator[str]:
    """Iterate over what would be lost, in words.

    Parameters
    ----------
    archive : Archive
    entity : EntityPath
        What is to be corrected.
    changes : Changes
    replace : bool
        Sequences are to be replaced as they are.
    leave : bool
        References to the study are to stay.
    """
    sequences = {
        tag: values
        for tag, values in changes.items()
        if values and not isinstance(values[0], str) and tag != _EXTENDED and not replace
    }
    moves = _STUDY in changes and entity.level is Level.STUDY and not leave
    if not (sequences or moves):
        return
    async with closing(archive.instances(Query(Level.IMAGE, entity.conditions))) as instances:
        async for instance in instances:
            uid, study = instance.identity.sop_instance_uid, instance.identity.study_instance_uid
            elements = (await archive.header(instance)).elements
            for tag, items in sequences.items():
                if lost := sorted(set(_lost(elements.elements.get(tag), items))):
                    yield (
                        f"instance {uid} has more in {keyword_of(tag)}, which would be lost: "
                        f"{', '.join(lost)}; give all of it, or --replace-sequences"
                    )
            if moves and (found := sorted(set(_references(elements, study)))):
                yield (
                    f"instance {uid} refers to study {study} in {', '.join(found)}, and would go "
                    "on doing so; to move it all the same give --leave-references"
                )


def _lost(element: DataElement | None, given: tuple[object, ...]) -> Iterator[str]:
    """Iterate over what a sequence has beyond what is given."""
    items = element.items if element is not None else ()
    if len(items) > len(given):
        yield f"{len(items) - len(given)} of {len(items)} items"
    for item, new in zip(items, given, strict=False):
        kept = new if isinstance(new, Mapping) else {}
        yield from (keyword_of(each.tag) for each in item if each.tag not in kept)


def _references(elements: ElementSet, study: str) -> Iterator[str]:
    """Iterate over the sequences in which a study is referred to."""
    for element in elements:
        if element.tag != _HISTORY and any(_refers(item, study) for item in element.items):
            yield keyword_of(element.tag)


def _refers(item: ElementSet, study: str) -> bool:
    return study in item.texts(_STUDY) or any(
        _refers(nested, study) for element in item for nested in element.items
    )
