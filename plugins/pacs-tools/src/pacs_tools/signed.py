"""Digital signatures that do not outlive a change: what they sign is not what it was.

A MAC is of attributes that are named in Data Elements Signed (0400,0020), beside the signature
(PS3.3 C.12.1.1.3.1.1). That is enough to tell whose MAC has changed, without computing any.
"""

from collections.abc import Iterator
from itertools import compress
from operator import is_not
from struct import iter_unpack
from typing import Final

from pacs_core.dataset import ElementSet

_MAC_PARAMETERS: Final = 0x4FFE_0001
_DIGITAL_SIGNATURES: Final = 0xFFFA_FFFA
_MAC_ID, _SIGNED, _SIGNATURE_UID = 0x0400_0005, 0x0400_0020, 0x0400_0100


def find_broken_signatures(before: ElementSet, after: ElementSet) -> Iterator[tuple[str, int]]:
    """Iterate over the Digital Signature UIDs that a change breaks, each with a changed tag.

    Parameters
    ----------
    before, after : ElementSet
        The elements of a dataset or item. What has not changed is the same object in both.
    """
    signatures = before.elements.get(_DIGITAL_SIGNATURES)
    if signatures is not None and _DIGITAL_SIGNATURES in after.elements:
        for item in signatures.items:
            changed = (
                tag
                for tag in _signed_tags(before, item)
                if before.elements.get(tag) is not after.elements.get(tag)
            )
            if (tag := next(changed, None)) is not None:
                yield next(iter(item.texts(_SIGNATURE_UID)), ""), tag
    elements = before.elements
    # Of hundreds of elements few differ: they are found without a step in Python for each.
    differ = map(is_not, elements.values(), map(after.elements.get, elements))
    for tag, element in compress(elements.items(), differ):
        if (other := after.elements.get(tag)) is not None:
            for old, new in zip(element.items, other.items, strict=False):
                yield from find_broken_signatures(old, new)


def _signed_tags(within: ElementSet, signature: ElementSet) -> Iterator[int]:
    for item in within.items(_MAC_PARAMETERS):
        element = item.elements.get(_SIGNED)
        if element is None or not isinstance(element.value, bytes):
            continue
        if item.texts(_MAC_ID) == signature.texts(_MAC_ID):
            whole = element.value[: len(element.value) // 4 * 4]
            yield from (group << 16 | number for group, number in iter_unpack("<HH", whole))
