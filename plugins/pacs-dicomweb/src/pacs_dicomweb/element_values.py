"""Values of elements as modules of images and presentation states need them: numbers, texts, items.

What is no such value is none: whoever has written it is not to be believed anyway.
"""

from pacs_core.dataset import ElementSet, tag_of

_MOST = 1e7
"""Of a number: no pixel, frame or percentage is beyond."""


def items_of(elements: ElementSet, keyword: str) -> tuple[ElementSet, ...]:
    """Return the items of a sequence."""
    return elements.items(tag_of(keyword))


def text_of(elements: ElementSet, tag: str | int) -> str:
    """Return the first value as a text; empty if there is none."""
    return "".join(texts_of(elements, tag)[:1])


def texts_of(elements: ElementSet, tag: str | int) -> tuple[str, ...]:
    """Return all values as texts."""
    found = elements.texts(tag if isinstance(tag, int) else tag_of(tag))
    return tuple(each.strip() for each in found)


def floats_of(elements: ElementSet, keyword: str) -> tuple[float, ...]:
    """Return all values as numbers; none if one of them is no number."""
    found = []
    for text in elements.texts(tag_of(keyword)):
        try:
            found.append(float(text))
        except ValueError:
            return ()
    return tuple(found) if all(abs(each) < _MOST for each in found) else ()


def numbers_of(elements: ElementSet, keyword: str) -> tuple[int, ...]:
    """Return all values as whole numbers; none if one of them is no number."""
    return tuple(map(int, floats_of(elements, keyword)))


def is_for(item: ElementSet, uid: str, frame: int) -> bool:
    """Tell whether an item is for a frame of an image: it names no image, or this one."""
    references = items_of(item, "ReferencedImageSequence")
    if not references:
        return True
    for reference in references:
        frames = numbers_of(reference, "ReferencedFrameNumber")
        if text_of(reference, "ReferencedSOPInstanceUID") == uid and (
            not frames or frame in frames
        ):
            return True
    return False
