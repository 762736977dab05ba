"""Text that UTF-8 cannot represent: lone surrogates, which SQLite does not take."""

from attrs import evolve

from pacs_core.contracts import InstanceRecord
from pacs_core.dataset import Attributes

_MAX_DEPTH = 8


def representable(text: str) -> str:
    """Return text with U+FFFD in place of lone surrogates."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def representable_record(record: InstanceRecord) -> InstanceRecord:
    """Return a record whose attributes SQLite can store."""
    return evolve(record, attributes=_attributes(record.attributes, 0))


def _attributes(attributes: Attributes, depth: int) -> Attributes:
    if depth > _MAX_DEPTH:
        return {}
    return {
        tag: tuple(
            representable(v) if isinstance(v, str) else _attributes(v, depth + 1) for v in values
        )
        for tag, values in attributes.items()
    }
