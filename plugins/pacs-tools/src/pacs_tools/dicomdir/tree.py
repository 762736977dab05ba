"""The records of a new file-set, as a tree, and the names of its files (PS3.10 §8.2)."""

from collections.abc import Iterable, Iterator
from string import ascii_uppercase, digits
from struct import Struct
from typing import Final

from attrs import define, field

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    MutableAttributes,
    encode_attributes,
    tag_of,
)
from pacs_tools.dicomdir.instances import Instance, MadeRecord
from pacs_tools.dicomdir.record_types import RECORD_TYPES

_LINKS: Final = Struct("<HH2sHI HH2sHH HH2sHI")
"""Offsets of the next record and of the first one below, and Record In-use Flag between them."""

_IN_USE: Final = 0xFFFF
_TYPE: Final = tag_of("DirectoryRecordType")
_FILE_ID: Final = tag_of("ReferencedFileID")
_SOP_CLASS: Final = tag_of("ReferencedSOPClassUIDInFile")
_SOP_INSTANCE: Final = tag_of("ReferencedSOPInstanceUIDInFile")
_SYNTAX: Final = tag_of("ReferencedTransferSyntaxUIDInFile")
_LONGEST_NAME: Final = 8
_MOST_IN_DIGITS: Final = 10**6


@define(eq=False)
class Node:
    """A record of a new file-set, and those below it.

    Attributes
    ----------
    record : MadeRecord
    instance : Instance or None
        What it refers to.
    lower : list of Node
    names : tuple of str
        File ID of the instance, or of the folder of those below.
    """

    record: MadeRecord
    instance: Instance | None = None
    lower: "list[Node]" = field(factory=list)
    names: tuple[str, ...] = ()
    _rest: bytes = field(default=b"", repr=False)

    def encode(self, following: int, lower: int) -> bytes:
        """Return its elements; see `Branch`."""
        links = _LINKS.pack(
            4, 0x1400, b"UL", 4, following, 4, 0x1410, b"US", 2, _IN_USE, 4, 0x1420, b"UL", 4, lower
        )  # fmt: skip
        self._rest = self._rest or self._encode_rest()
        return links + self._rest + self.record.attributes

    def _encode_rest(self) -> bytes:
        """Return what of group 0004 follows the links, and comes before all of an instance."""
        values: MutableAttributes = {_TYPE: (self.record.type,)}
        if self.instance is not None:
            values[_FILE_ID] = self.names
            values[_SOP_CLASS] = (self.instance.sop_class,)
            values[_SOP_INSTANCE] = (self.instance.uid,)
            values[_SYNTAX] = (self.instance.syntax,)
        return encode_attributes(values, EXPLICIT_VR_LITTLE_ENDIAN)


def grow_tree(instances: Iterable[Instance]) -> list[Node]:
    """Return the records of the root for instances, each level in the order of the instances."""
    top: list[Node] = []
    nodes: dict[tuple[tuple[str, str], ...], Node] = {}
    for instance in instances:
        nodes_below = top
        place: tuple[tuple[str, str], ...] = ()
        *above, own = instance.records
        for record in above:
            place = (*place, (record.type, record.key))
            if place not in nodes:
                nodes[place] = Node(record)
                nodes_below.append(nodes[place])
            nodes_below = nodes[place].lower
        nodes_below.append(Node(own, instance))
    return top


def name_files(top: list[Node]) -> list[Node]:
    """Give the nodes of a tree names; return those of instances."""
    found = list(_flatten(top))
    characters = digits if len(found) <= _MOST_IN_DIGITS else digits + ascii_uppercase
    _name_below(top, (), characters)
    return [node for node in found if node.instance is not None]


def _flatten(nodes: list[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _flatten(node.lower)


def _name_below(nodes: list[Node], above: tuple[str, ...], characters: str) -> None:
    for number, node in enumerate(nodes):
        prefix = RECORD_TYPES[node.record.type].prefix
        suffix, left = "", number
        while left:
            left, place = divmod(left, len(characters))
            suffix = characters[place] + suffix
        node.names = (*above, prefix + suffix.rjust(_LONGEST_NAME - len(prefix), "0"))
        _name_below(node.lower, node.names, characters)
