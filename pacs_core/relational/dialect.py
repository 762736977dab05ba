"""Dialect of a database: what is said otherwise in each, and what it cannot do by itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from typing import ClassVar

from pacs_core.contracts import Restriction
from pacs_core.relational.catalog import Attribute
from pacs_core.relational.fragments import Comparison, Sql


class Dialect(ABC):
    """How one database says what differs; parameters are marked by question marks.

    Attributes
    ----------
    join : str
        Joins tables, in the order in which they are named if the database can be told so.
    whole : str
        Goes before the name of a table where that of a common table expression hides it.
    position : str
        The function that finds text in text: 0 if it is not there.
    json_list : str
        A format: the distinct values of a column as JSON text.
    as_is : str
        Goes before a column of ORDER BY where no index is to be walked for the order's sake.
    separate : bool
        Whether alternatives in several tables are looked up one by one, and put together: where
        the database finds no index for a disjunction of subqueries.
    """

    join: ClassVar[str]
    whole: str
    position: ClassVar[str]
    json_list: ClassVar[str]
    as_is: ClassVar[str] = ""
    separate: ClassVar[bool] = False

    @abstractmethod
    def one_of(self, values: Collection[str | int]) -> Comparison:
        """Compare with a list, as one parameter, however long it is."""

    @abstractmethod
    def like(self, pattern: str, names: Iterator[int]) -> Comparison:
        """Compare with a wild card pattern that begins with one (PS3.4 C.2.2.2.4)."""

    @abstractmethod
    def meets(
        self,
        attribute: Attribute,
        text: str,
        test: Callable[[str], bool],
        names: Iterator[int],
        among: Sql | None = None,
    ) -> Sql:
        """Have Python test a text that is not NULL.

        Parameters
        ----------
        attribute : Attribute
            Has the table of whose columns the text consists.
        text : str
            An expression.
        test : callable
        names : iterator of int
            Numbers what has a name in the statement.
        among : Sql or None
            What holds besides: no other rows need be tested.
        """

    def ranges(self, column: str) -> tuple[str, ...]:
        """Return conditions on a column one of which holds, each with an index of its own.

        Where one index cannot have all values. Used if `separate` only.
        """
        return ()

    @abstractmethod
    def several_value(self, match: str) -> str:
        """Return the column of `several` that has the values for a column of an attribute."""

    @abstractmethod
    def sort_term(
        self,
        attribute: Attribute,
        number: int,
        shown: Callable[[str], str],
        on_row: Callable[[str], str],
    ) -> Sql:
        """Return what results are sorted by for an attribute, as :func:`sort_key` has it.

        Parameters
        ----------
        attribute : Attribute
        number : int
            Of the term in its query.
        shown : callable
            Returns an expression for what an entity shows in a column of the attribute.
        on_row : callable
            Returns, for an expression of such, one for the row of a result, which may be a
            patient's.
        """

    @abstractmethod
    def rows(self, tables: str, table: str, columns: str) -> str:
        """Return the statement for rows by their ids, in the order of these: one parameter."""

    def permits(
        self,
        restriction: Restriction,
        attribute_of: Callable[[int], Attribute],
    ) -> Sql | None:
        """Return a restriction on a row of `instance`, where not by an expression for each part."""
        return None
