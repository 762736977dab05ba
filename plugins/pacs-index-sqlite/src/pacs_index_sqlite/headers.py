# ruff: noqa: S608 - the names of tables and columns come from the catalog
"""Headers: what instances say of their study and series, and what is shown where they differ.

Instances that say the same of their study have one header there, and likewise of their series. An
instance refers to its header of the series, and that to the one of the study. As long as an entity
has one header, which is nearly always, its own row has all that there is to know, and the header
is no more than a number: nothing is written for a further instance.

With the second header the entity *varies*: from then on each header has a row in the table of
variants, with the same columns, where conditions look as well. What the entity shows is merged
from the first of them by :func:`precedence`. Nothing depends on how many instances have a header,
so that an instance that comes or goes costs as much whether an entity has two headers or a
thousand.
"""

import sqlite3
from typing import Final

from attrs import define, field, frozen

from pacs_core.contracts import CONSIDERED, Level, precedence
from pacs_core.dataset import Attributes
from pacs_core.relational import (
    TABLES,
    UIDS,
    Attribute,
    Catalog,
    RowMaker,
    Several,
    Stored,
    insertion,
    json_of,
)

NO_HEADER: Final = 0
"""The header above those of a study."""


@frozen
class HeaderDifference:
    """Two values of one attribute."""

    keyword: str
    values: tuple[str, str]


def comparison_of(attribute: Attribute, table: str) -> str:
    """Return what must be equal for values to be the same: names without case, dates padded."""
    texts = (f"{table}.{column}" for column in (attribute.matches[0].column, attribute.keyword))
    return f"coalesce({', '.join(texts)})"


@define
class Headers:
    """The studies, or the series, with the headers of each."""

    _connection: sqlite3.Connection
    _level: Level
    _attributes: tuple[Attribute, ...]
    maker: RowMaker = field(init=False)
    _table: str = field(init=False)
    _columns: str = field(init=False)
    _texts: str = field(init=False)
    _places: tuple[tuple[Attribute, int, int], ...] = field(init=False)
    _create: str = field(init=False)
    _note: str = field(init=False)
    _own_matches: tuple[str, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.maker = RowMaker(self._attributes)
        columns = self.maker.columns
        self._table = TABLES[self._level]
        self._columns = ", ".join(columns)
        self._texts = ", ".join(attribute.keyword for attribute in self._attributes)
        self._places = tuple(
            (
                a,
                columns.index(a.keyword),
                columns.index(a.matches[0].column if a.matches else a.keyword),
            )
            for a in self._attributes
        )
        self._create = insertion(self._table, ("parent", UIDS[self._level]), columns)
        self._note = insertion(f"{self._table}_variant", ("id", "parent", "rank"), columns)
        self._own_matches = tuple(
            name for a in self._attributes for name in (*(m.column for m in a.matches), a.sound)
        )

    def create(
        self, parent: int, uid: str, above: int, content: tuple[list[Stored], Several]
    ) -> tuple[int, int]:
        """Add an entity with its first header; return the ids of both."""
        row, several = content
        entity = self._connection.execute(self._create, (parent, uid, *row)).lastrowid or 0
        self._insert_several(entity, several)
        return entity, self._add(entity, above)

    def find(
        self, entity: int, above: int, content: tuple[list[Stored], Several]
    ) -> tuple[int, list[HeaderDifference]]:
        """Return the header of an entity with some content, added if there is none.

        Returns
        -------
        int
            Its id.
        list of Difference
            What differs between instances of the entity, and did not before.
        """
        row, several = content
        shown = self._connection.execute(
            f"SELECT {self._columns} FROM {self._table} WHERE id = ?",
            (entity,),
        ).fetchone()
        statement = f"SELECT EXISTS (SELECT 1 FROM {self._table}_variant WHERE parent = ?)"
        varies = bool(self._connection.execute(statement, (entity,)).fetchone()[0])
        if not varies:
            only, its_above = self._connection.execute(
                f"SELECT id, above FROM {self._table}_header WHERE parent = ?",
                (entity,),
            ).fetchone()
            if its_above == above and shown == tuple(row):
                return only, []
        rank = self._rank(row, above)
        if varies:
            statement = f"SELECT id FROM {self._table}_variant WHERE parent = ? AND rank = ?"
            if found := self._connection.execute(statement, (entity, rank)).fetchone():
                return found[0], []
        differences = self._differences(entity, row, shown)
        if not varies:
            self._vary(entity, only, self._rank(shown, its_above), shown)
        header = self._add(entity, above)
        self._connection.execute(self._note, (header, entity, rank, *row))
        self._insert_several(header, several, self._prefix)
        self._show(entity, rank)
        return header, differences

    def remove(self, header: int) -> tuple[int, int, bool]:
        """Remove a header that no instance has, and the entity if it was the last.

        Returns
        -------
        int, int
            The header above, and the entity, or its parent if it was removed.
        bool
            Whether it was removed.
        """
        connection, table = self._connection, self._table
        found = connection.execute(
            f"DELETE FROM {table}_variant WHERE id = ? RETURNING rank",
            (header,),
        ).fetchall()
        if found:
            self._delete_several(header, self._prefix)
        entity, above = connection.execute(
            f"DELETE FROM {table}_header WHERE id = ? RETURNING parent, above",
            (header,),
        ).fetchall()[0]
        (left,) = connection.execute(
            f"SELECT EXISTS (SELECT 1 FROM {table}_header WHERE parent = ?)",
            (entity,),
        ).fetchone()
        if left:
            for (rank,) in found:
                self._show(entity, rank)
            return above, entity, False
        self._delete_several(entity)
        parent = connection.execute(
            f"DELETE FROM {table} WHERE id = ? RETURNING parent",
            (entity,),
        ).fetchall()[0][0]
        return above, parent, True

    @property
    def _prefix(self) -> str:
        return f"{self._table}_variant."

    def _add(self, entity: int, above: int) -> int:
        statement = f"INSERT INTO {self._table}_header (parent, above) VALUES (?, ?)"
        return self._connection.execute(statement, (entity, above)).lastrowid or 0

    def _rank(self, row: "list[Stored] | tuple[Stored, ...]", above: int) -> str:
        texts = [row[place] for _, place, _ in self._places]
        return f"{precedence(self._level, self._decode(texts))}|{above}"

    def _decode(self, texts: "list[Stored]") -> Attributes:
        pairs = zip(self._attributes, texts, strict=True)
        return {a.tag: a.values(text) for a, text in pairs if isinstance(text, str) and text}

    def _vary(self, entity: int, header: int, rank: str, shown: tuple[Stored, ...]) -> None:
        """Give the only header that an entity has had the row that each has from now on."""
        self._connection.execute(self._note, (header, entity, rank, *shown))
        self._connection.execute(
            "INSERT INTO several SELECT ? || match, value, ? FROM several "
            "WHERE owner = ? AND match IN (SELECT value FROM json_each(?))",
            (self._prefix, header, entity, json_of(self._own_matches)),
        )

    def _show(self, entity: int, rank: str) -> None:
        """Show what the first headers have, after the one with `rank` has come or gone."""
        variants = f"{self._table}_variant WHERE parent = ? ORDER BY rank LIMIT"
        last = self._connection.execute(
            f"SELECT rank FROM {variants} 1 OFFSET {CONSIDERED - 1}",
            (entity,),
        ).fetchone()
        if last is not None and rank > last[0]:
            return
        first = self._connection.execute(
            f"SELECT {self._texts} FROM {variants} {CONSIDERED}",
            (entity,),
        ).fetchall()
        columns = zip(*first, strict=True)
        merged = [next((v for v in column if v is not None), None) for column in columns]
        row, several = self.maker.row(self._decode(merged))
        marks = ", ".join("?" * len(row))
        self._connection.execute(
            f"UPDATE {self._table} SET ({self._columns}) = ({marks}) WHERE id = ?",
            (*row, entity),
        )
        self._delete_several(entity)
        self._insert_several(entity, several)

    def _differences(
        self, entity: int, row: list[Stored], shown: tuple[Stored, ...]
    ) -> list[HeaderDifference]:
        return [
            HeaderDifference(attribute.keyword, (str(shown[text]), str(row[text])))
            for attribute, text, match in self._places
            if attribute.matches
            and row[text]
            and shown[text]
            and (row[match] or row[text]) != (shown[match] or shown[text])
            and not self._differs_already(entity, attribute, shown[match] or shown[text])
        ]

    def _differs_already(self, entity: int, attribute: Attribute, shown: Stored) -> bool:
        table = f"{self._table}_variant"
        statement = (
            f"SELECT EXISTS (SELECT 1 FROM {table} WHERE parent = ? "
            f"AND {comparison_of(attribute, table)} != ?)"
        )
        return bool(self._connection.execute(statement, (entity, shown)).fetchone()[0])

    def _insert_several(self, owner: int, several: Several, prefix: str = "") -> None:
        if several:
            rows = [(prefix + match, value, owner) for match, value in several]
            self._connection.executemany("INSERT OR IGNORE INTO several VALUES (?, ?, ?)", rows)

    def _delete_several(self, owner: int, prefix: str = "") -> None:
        self._connection.execute(
            "DELETE FROM several "
            "WHERE owner = ? AND match IN (SELECT ? || value FROM json_each(?))",
            (owner, prefix, json_of(self._own_matches)),
        )


def headers_of(connection: sqlite3.Connection, catalog: Catalog, level: Level) -> Headers:
    """Return the studies, or the series, of a file."""
    return Headers(connection, level, catalog.non_key_attributes(level))
