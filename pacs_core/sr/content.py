"""Content trees of SR documents, as what people read (PS3.3 C.17.3)."""

from collections.abc import Iterator
from functools import cache
from typing import Final

from attrs import field, frozen

from pacs_core.dataset import ElementSet, tag_of

_tag: Final = cache(tag_of)
"""A report has thousands of items, of which each is asked for the same attributes."""


@frozen
class Code:
    """A coded concept (PS3.3 §8); empty texts if there is none."""

    value: str = ""
    scheme: str = ""
    meaning: str = ""

    def __str__(self) -> str:
        """Return what it means; one without a meaning is told by its value and scheme."""
        if self.meaning or not self.scheme:
            return self.meaning or self.value
        return f"{self.value} ({self.scheme})"


@frozen
class Reference:
    """A composite object that a content item refers to (PS3.3 C.18.3 to C.18.5).

    Attributes
    ----------
    sop_class_uid, sop_instance_uid : str
    kind : str
        Name of the SOP class, as ``CT Image``.
    frames : tuple of str
        Numbers of frames that are meant; none for all.
    parts : tuple of (str, str)
        What else of it is meant: ``Segment`` or ``Channels``, and their numbers.
    """

    sop_class_uid: str
    sop_instance_uid: str
    kind: str
    frames: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()

    @property
    def named_parts(self) -> tuple[tuple[str, str], ...]:
        """What of it is meant, frames among it."""
        frames = (("Frame", ", ".join(self.frames)),) if self.frames else ()
        return (*frames, *self.parts)

    def __str__(self) -> str:
        """Return it on a line: kind, UID, and what of it is meant."""
        parts = (f"{name.lower()} {numbers}" for name, numbers in self.named_parts)
        return ", ".join((f"{self.kind} {self.sop_instance_uid}".strip(), *parts))


@frozen
class ContentItem:
    """A content item.

    Attributes
    ----------
    number : str
        Its place in the tree, as ``1.2.3``.
    relationship : str
        To the item above, as ``CONTAINS``; empty for the root.
    value_type : str
        ``TEXT``, ``NUM``, ...; empty if it refers to another item.
    name : Code
        The concept that it is about.
    value : str
        For people.
    code : Code
        The value of a CODE, or the unit of a NUM.
    qualifier : Code
        Why a NUM has no value, or what is odd about it.
    references : tuple of Reference
        Composite objects that it refers to.
    target : str
        The number of the item that it refers to (by-reference relationship, C.17.3.2.5).
    elements : ElementSet
        Its attributes.
    items : tuple of ContentItem
        What it is the source of.
    """

    number: str
    relationship: str
    value_type: str
    name: Code
    value: str
    code: Code
    qualifier: Code
    references: tuple[Reference, ...]
    target: str
    elements: ElementSet = field(repr=False)
    items: "tuple[ContentItem, ...]" = ()

    def walk(self) -> "Iterator[ContentItem]":
        """Iterate over it and all below it, in the order of the document."""
        waiting = [self]
        while waiting:
            item = waiting.pop()
            yield item
            waiting += reversed(item.items)

    def __str__(self) -> str:
        """Return it on a line: its name, and its value."""
        return ": ".join(filter(None, (str(self.name), self.value)))


def text_of(elements: ElementSet, keyword: str) -> str:
    """Return the value of an attribute as text; empty if there is none."""
    values = elements.texts(_tag(keyword))
    return values[0] if len(values) == 1 else "\\".join(values)


def items_of(elements: ElementSet, keyword: str) -> tuple[ElementSet, ...]:
    """Return the items of a sequence; none if it is absent."""
    return elements.items(_tag(keyword))


def code_of(elements: ElementSet, keyword: str) -> Code:
    """Return the coded concept in the first item of a sequence."""
    for item in items_of(elements, keyword)[:1]:
        value = (
            text_of(item, "CodeValue")
            or text_of(item, "LongCodeValue")
            or text_of(item, "URNCodeValue")
        )
        return Code(value, text_of(item, "CodingSchemeDesignator"), text_of(item, "CodeMeaning"))
    return Code()
