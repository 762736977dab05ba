"""A document without a format: numbered sections of paragraphs and tables."""

from attrs import frozen


@frozen
class DocumentTable:
    """A table; every row is as long as the header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@frozen
class StatementSection:
    """A section.

    Attributes
    ----------
    number : str
        ``"4.2.1"``; empty for the title of the whole.
    title : str
    blocks : tuple of str or Table
        Paragraphs and tables, in order.
    """

    number: str
    title: str
    blocks: tuple[str | DocumentTable, ...] = ()

    @property
    def depth(self) -> int:
        """0 for the title, 1 for a chapter, and so on."""
        return self.number.count(".") + 1 if self.number else 0

    @property
    def heading(self) -> str:
        """Number and title."""
        return f"{self.number} {self.title}".strip()
