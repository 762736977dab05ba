"""Whole small datasets: identifiers and attribute lists, from bytes and to bytes (PS3.5 §7)."""

from pacs_core.dataset.charset import with_default
from pacs_core.dataset.encoder import DatasetEncoder
from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.inflate import deflate, inflate
from pacs_core.dataset.layout import layout_of
from pacs_core.dataset.model import SPECIFIC_CHARACTER_SET, Attributes, MutableAttributes
from pacs_core.dataset.parser import MAX_DEPTH, Parser
from pacs_core.dataset.transfer_syntax import encoding_of

MAX_LENGTH = 1 << 20


def parse_attributes(
    data: bytes | memoryview,
    transfer_syntax_uid: str,
    max_depth: int = MAX_DEPTH,
    max_length: int = MAX_LENGTH,
    default_character_set: tuple[str, ...] = (),
    name_bulk: bool = False,
) -> MutableAttributes:
    """Parse a small dataset completely.

    Parameters
    ----------
    data : bytes or memoryview
        The encoded dataset, without File Meta Information.
    transfer_syntax_uid : str
        How it is encoded.
    max_depth : int
        How deeply sequences may nest.
    max_length : int
        Bytes that the (inflated) dataset may have.
    default_character_set : tuple of str
        Specific Character Set of what names none, or lies; empty for Latin-1.
    name_bulk : bool
        Keep bulk data and unknown values as attributes without a value.

    Returns
    -------
    dict
        The attributes; bulk data and unknown values are left out, or have no value.

    Raises
    ------
    MalformedDataset
        If it is truncated, too long, too deep, or not in that transfer syntax.
    """
    encoding = encoding_of(transfer_syntax_uid)
    if len(data) > max_length:
        raise MalformedDataset(f"longer than the {max_length} bytes allowed here", max_length)
    if encoding.deflated:
        data = inflate(data, max_length)
    character_sets = with_default((), default_character_set)
    parser = Parser(data, 0, max_depth, name_bulk=name_bulk)
    return parser.dataset(layout_of(encoding), character_sets)


def encode_attributes(
    attributes: Attributes, transfer_syntax_uid: str, character_set: tuple[str, ...] = ()
) -> bytes:
    """Encode a small dataset, in ascending order of tags, sequences with defined length.

    Parameters
    ----------
    attributes : Attributes
        What to encode. Attributes unknown to PS3.6 are written as LO, or SQ if they have items.
    transfer_syntax_uid : str
        How to encode it.
    character_set : tuple of str
        The Specific Character Set to use and to write as (0008,0005); empty for the default
        repertoire. An (0008,0005) among `attributes` is replaced.

    Raises
    ------
    UnencodableValue
        If text is given for bulk data, or text that is no number for a number, or a value is
        too long for its VR's length field.
    """
    encoding = encoding_of(transfer_syntax_uid)
    if character_set:
        attributes = {**attributes, SPECIFIC_CHARACTER_SET: character_set}
    elif SPECIFIC_CHARACTER_SET in attributes:
        attributes = {t: v for t, v in attributes.items() if t != SPECIFIC_CHARACTER_SET}
    encoded = DatasetEncoder(encoding, character_set).encode(attributes)
    return deflate(encoded) if encoding.deflated else encoded
