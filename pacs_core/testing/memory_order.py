"""Sorting of results in memory."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from pacs_core.contracts import Order, sort_key
from pacs_core.dataset import Attributes, keyword_of, texts, vr_of

T = TypeVar("T")


def sort_results(
    results: Iterable[T], order: Order, attributes: Callable[[T], Attributes]
) -> list[T]:
    """Sort results by one attribute, stably; what has no value comes last.

    Raises
    ------
    ValueError
        It is a sequence.
    """
    vr = vr_of(order.tag)
    if vr == "SQ":
        raise ValueError(f"{keyword_of(order.tag)} is a sequence: results are not sorted by it")
    keyed = [(sort_key(vr, texts(attributes(each), order.tag)), each) for each in results]
    known = [pair for pair in keyed if pair[0] is not None]
    # Stable in reverse, too: what is equal keeps its order.
    known.sort(key=lambda pair: pair[0], reverse=order.descending)  # type: ignore[arg-type,return-value]
    return [each for _, each in (*known, *(pair for pair in keyed if pair[0] is None))]
