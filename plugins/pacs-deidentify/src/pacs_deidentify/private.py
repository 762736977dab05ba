"""Private attributes, of which only those stay that are known to be safe (PS3.15 E.3.10)."""

from typing import Final

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.tables import load_safe_private

_CREATORS: Final = range(0x0010, 0x0100)


class PrivateAttributes:
    """Tells which private attributes stay.

    Parameters
    ----------
    profile : Profile
    """

    def __init__(self, profile: Profile) -> None:
        self._removed = profile.remove
        retains = Option.RETAIN_SAFE_PRIVATE in profile.options
        self._safe = load_safe_private() | profile.safe_private if retains else frozenset()

    def keeps(self, dataset: Dataset, tag: BaseTag) -> bool:
        """Whether an element stays; creators do for now."""
        if not self._safe or tag in self._removed:
            return False
        if tag.element in _CREATORS:
            creator = str(dataset[tag].value).strip(" \0")
            return any(creator == safe for safe, _, _ in self._safe)
        creator_tag = Tag(tag.group, tag.element >> 8)
        if creator_tag not in dataset:
            return False
        creator = str(dataset[creator_tag].value).strip(" \0")
        return (creator, tag.group, tag.element & 0xFF) in self._safe

    def drop_creators(self, dataset: Dataset) -> None:
        """Remove creators of blocks of which nothing stayed."""
        tags = [tag for tag in dataset.keys() if tag.is_private]  # noqa: SIM118 see _walk
        used = {(tag.group, tag.element >> 8) for tag in tags if tag.element not in _CREATORS}
        for tag in tags:
            if tag.element in _CREATORS and (tag.group, tag.element) not in used:
                del dataset[tag]
