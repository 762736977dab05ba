"""Character sets that express further text in a dataset without a change to what it has.

Where a dataset is rewritten, its other text keeps its bytes, so these must go on meaning the same.
Code extensions allow that (PS3.3 C.12.1.1.2, PS3.5 §6.1.2.5): value 1 of Specific Character Set
stays what it was, and further values name sets to which escape sequences in the new text switch.
ASCII means the same in all of them, and in UTF-8.
"""

from collections.abc import Iterable

from pacs_core.dataset.charset import CHARACTER_SET_VRS, UTF_8, defined_terms, expresses
from pacs_core.dataset.iso2022 import CODE_EXTENSIONS

_GBK, _GB18030 = "GBK", "GB18030"
_STAND_ALONE = frozenset({UTF_8, _GB18030})


def extend_character_sets(
    declared: tuple[str, ...], added: Iterable[tuple[str, str]]
) -> tuple[str, ...]:
    """Return the Specific Character Set for a dataset to which text is added.

    Parameters
    ----------
    declared : tuple of str
        That of the dataset; empty if it has none.
    added : iterable of (str, str)
        VR and text of what is added.

    Returns
    -------
    tuple of str
        `declared` itself if that expresses all of the text. A dataset that declares none, or none
        that exists, gets ``ISO_IR 192``. Where the declared sets cannot be extended to express
        all, as much of it as possible is.
    """
    values = [(vr, text) for vr, text in added if vr in CHARACTER_SET_VRS and not text.isascii()]
    if not values:
        return declared
    terms = defined_terms(declared)
    if not terms:
        return (UTF_8,)
    if all(expresses(terms, *value) for value in values) or terms[0] in _STAND_ALONE:
        return declared
    if terms[0] == _GBK:
        return (_GB18030,)  # which has GBK as a subset
    # Value 1 with code extensions designates what it says without them.
    extended = (terms[0].replace("ISO_IR", "ISO 2022 IR"), *terms[1:])
    further = [f"ISO 2022 IR {number}" for number in CODE_EXTENSIONS]
    for term in further:
        if all(expresses((*extended, term), *value) for value in values):
            return (*extended, term)
    for term in further:
        lacking = [value for value in values if not expresses(extended, *value)]
        if any(expresses((*extended, term), *value) for value in lacking):
            extended = (*extended, term)
    return extended if len(extended) > 1 else declared
