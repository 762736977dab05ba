"""Rows as PostgreSQL takes them: of text that it can hold."""

from attrs import define, field

from pacs_core.dataset import Attributes
from pacs_core.relational import Attribute, RowMaker, Several, Stored
from pacs_index_postgresql.text import encode


@define
class Rows:
    """Makes rows for some attributes of one level: values in the order of `columns`."""

    attributes: tuple[Attribute, ...]
    columns: tuple[str, ...] = field(init=False)
    _maker: RowMaker = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._maker = RowMaker(self.attributes)
        self.columns = self._maker.columns

    def row(self, values: Attributes) -> tuple[list[Stored], Several]:
        """Return the content of the columns, and rows for the table `several`."""
        made, several = self._maker.row(values)
        row = [encode(value) if isinstance(value, str) else value for value in made]
        if several:
            several = list(dict.fromkeys((match, _encode(value)) for match, value in several))
        return row, several


def _encode(value: Stored) -> Stored:
    return encode(value) if isinstance(value, str) else value
