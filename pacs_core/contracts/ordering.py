"""Order of attribute values when results are sorted."""

import math
from collections.abc import Sequence

from pacs_core.query.matching import NUMBER_VRS, number_of
from pacs_core.query.model import fold_name
from pacs_core.query.temporal import MOMENT_VRS, comparables


def sort_key(vr: str, values: Sequence[str]) -> str | float | None:
    """Return what the first of an attribute's values is sorted by; None if there is nothing.

    Dates and times are sorted by the moment, numbers by their size, names as they are matched
    (:func:`fold_name`), text without regard to case, by code points.

    Parameters
    ----------
    vr : str
        Value representation of the attribute: never that of a sequence.
    values : sequence of str
    """
    text = values[0] if values else ""
    if not text:
        return None
    if vr in MOMENT_VRS:
        return next(iter(comparables(vr, text)), None)
    if vr in NUMBER_VRS:
        number = number_of(text)
        found = None if number is None else float(number)
        return found if found is not None and math.isfinite(found) else None
    return fold_name(text) if vr == "PN" else text.casefold()
