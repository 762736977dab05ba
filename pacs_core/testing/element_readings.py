"""Readings of elements, in Python and with speedups, and all that can be seen of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pacs_core.dataset import ElementReader, ElementSet, MalformedDataset, element_reader
from pacs_core.dataset.speedups import plain_elements


@contextmanager
def read_in_python() -> Iterator[None]:
    """Make readers that use no speedups, within the block."""
    with patch.object(element_reader, "plain_taker", lambda: None):
        yield


def has_plain_elements() -> bool:
    """Tell whether readers take plain elements with a speedup."""
    return plain_elements().maker is not None


def outcome_of_reading(
    dataset: bytes, transfer_syntax_uid: str, *, size_is_known: bool = True, **options: Any
) -> dict[str, object]:
    """Read the elements of a dataset; return what is to be the same however it is read.

    Parameters
    ----------
    dataset : bytes
    transfer_syntax_uid : str
    size_is_known : bool
        The reader is told how long the dataset is.
    **options
        Further arguments of `ElementReader`.

    Returns
    -------
    dict
        Elements, in the order in which they were found, even if there was an error; the error; what
        was found of Pixel Data, and where reading has ended.
    """
    size = len(dataset) if size_is_known else None
    reader = ElementReader(transfer_syntax_uid, size, **options)
    failure = ""
    try:
        reader.read_memory(dataset)
    except MalformedDataset as error:
        failure = f"{type(error).__name__}: {error}"
        reader.give_up()
    return {
        "elements": _content(reader.elements),
        "error": failure,
        "Pixel Data": (reader.pixel_data, reader.pixel_data_offset),
        "end": reader.end,
    }


def _content(elements: ElementSet) -> object:
    found = [
        (
            element.tag,
            element.vr,
            [_content(item) for item in element.items]
            if isinstance(element.value, tuple)
            else element.value,
        )
        for tag, element in elements.elements.items()
        if element.tag == tag
    ]
    return elements.character_sets, len(elements.elements), found
