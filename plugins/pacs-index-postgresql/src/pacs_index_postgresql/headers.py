# ruff: noqa: S608 - the names of tables and columns come from the catalog
"""Headers: what instances say of their study and series, and what is shown where they differ.

Instances that say the same of their study have one header there, and likewise of their series. An
instance refers to its header of the series, and that to the one of the study. As long as an entity
has one header, which is nearly always, its own row has all that there is to know, and the header
is no more than a number: nothing is written for a further instance.

With the second header the entity *varies*: from then on each header has a row in the table of
variants, with the same columns, where conditions look as well. What the entity shows is merged
from the first of them by :func:`precedence`.

All of this is called under the lock `STRUCTURE`: nobody else makes or removes headers meanwhile.
"""

from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field, frozen

from pacs_core.contracts import CONSIDERED, Level, precedence
from pacs_core.dataset import Attributes
from pacs_core.relational import TABLES, UIDS, Attribute, Several, Stored
from pacs_index_postgresql.rows import Rows
from pacs_index_postgresql.text import decode

NO_HEADER: Final = 0
"""The header above those of a study."""
INSERT_SEVERAL: Final = """
    INSERT INTO several (match, value, number, owner)
    SELECT match, value, number, $4 FROM unnest($1::text[], $2::text[], $3::bigint[])
    AS given (match, value, number)"""


@frozen
class HeaderDifference:
    """Two values of one attribute."""

    keyword: str
    values: tuple[str, str]


def comparison_of(attribute: Attribute, table: str) -> str:
    """Return what must be equal for values to be the same: names without case, dates padded."""
    texts = (
        f"{table}.{column}::text" for column in (attribute.matches[0].column, attribute.keyword)
    )
    return f"coalesce({', '.join(texts)})"


def several_columns(several: Several, prefix: str = "") -> tuple[list[Any], list[Any], list[Any]]:
    """Return rows of `several` as arrays: of what they are called, of texts, and of numbers."""
    return (
        [prefix + match for match, _ in several],
        [value if isinstance(value, str) else None for _, value in several],
        [value if isinstance(value, int) else None for _, value in several],
    )


@define
class Headers:
    """The studies, or the series, with the headers of each."""

    _level: Level
    _attributes: tuple[Attribute, ...]
    rows: Rows = field(init=False)
    _table: str = field(init=False)
    _columns: str = field(init=False)
    _places: tuple[tuple[Attribute, int, int], ...] = field(init=False)
    _own_matches: list[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = Rows(self._attributes)
        columns = self.rows.columns
        self._table = TABLES[self._level]
        self._columns = ", ".join(columns)
        self._places = tuple(
            (
                a,
                columns.index(a.keyword),
                columns.index(a.matches[0].column if a.matches else a.keyword),
            )
            for a in self._attributes
        )
        self._own_matches = [
            name for a in self._attributes for name in (*(m.column for m in a.matches), a.sound)
        ]

    async def create(
        self,
        connection: Any,
        parent: int,
        uid: str,
        above: int,
        content: tuple[list[Stored], Several],
    ) -> tuple[int, int]:
        """Add an entity with its first header; return the ids of both."""
        row, several = content
        marks = ", ".join(f"${n + 4}" for n in range(len(row)))
        entity, header = await connection.fetchrow(
            f"WITH made AS (INSERT INTO {self._table} (parent, {UIDS[self._level]}, "
            f"{self._columns}) VALUES ($1, $2, {marks}) RETURNING id), "
            f"headed AS (INSERT INTO {self._table}_header (parent, above) "
            "SELECT id, $3 FROM made RETURNING id) "
            "SELECT made.id, headed.id FROM made, headed",
            parent,
            uid,
            above,
            *row,
        )
        await self._insert_several(connection, entity, several)
        return entity, header

    async def find(
        self, connection: Any, entity: int, above: int, content: tuple[list[Stored], Several]
    ) -> tuple[int, list[HeaderDifference]]:
        """Return the header of an entity with some content, added if there is none.

        Returns
        -------
        int
            Its id.
        list of HeaderDifference
            What differs between instances of the entity, and did not before.
        """
        row, several = content
        table = self._table
        found = await connection.fetchrow(
            f"SELECT EXISTS (SELECT FROM {table}_variant WHERE parent = $1), "
            f"single.id, single.above, {self._columns} FROM {table} "
            f"JOIN LATERAL (SELECT id, above FROM {table}_header "
            f"WHERE {table}_header.parent = {table}.id ORDER BY id LIMIT 1) AS single ON TRUE "
            f"WHERE {table}.id = $1",
            entity,
        )
        varies, only, its_above, *shown = found
        if not varies and its_above == above and _same(shown, row):
            return only, []
        rank = self._rank(row, above)
        if varies:
            statement = f"SELECT id FROM {table}_variant WHERE parent = $1 AND rank = $2"
            if header := await connection.fetchval(statement, entity, rank):
                return header, []
        differences = await self._differences(connection, entity, row, shown)
        if not varies:
            await self._vary(connection, entity, only, self._rank(shown, its_above), shown)
        header = await connection.fetchval(
            f"INSERT INTO {table}_header (parent, above) VALUES ($1, $2) RETURNING id",
            entity,
            above,
        )
        await self._note(connection, header, entity, rank, row)
        await self._insert_several(connection, header, several, self._prefix)
        await self._show(connection, entity, rank)
        return header, differences

    async def remove(self, connection: Any, header: int) -> tuple[int, int, bool]:
        """Remove a header that no instance has, and the entity if it was the last.

        Returns
        -------
        int, int
            The header above, and the entity, or its parent if it was removed.
        bool
            Whether it was removed.
        """
        table = self._table
        rank = await connection.fetchval(
            f"DELETE FROM {table}_variant WHERE id = $1 RETURNING rank", header
        )
        if rank is not None:
            await self._delete_several(connection, header, self._prefix)
        entity, above = await connection.fetchrow(
            f"DELETE FROM {table}_header WHERE id = $1 RETURNING parent, above", header
        )
        left = await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {table}_header WHERE parent = $1)", entity
        )
        if left:
            if rank is not None:
                await self._show(connection, entity, rank)
            return above, entity, False
        await self._delete_several(connection, entity)
        parent = await connection.fetchval(
            f"DELETE FROM {table} WHERE id = $1 RETURNING parent", entity
        )
        return above, parent, True

    @property
    def _prefix(self) -> str:
        return f"{self._table}_variant."

    async def _note(
        self, connection: Any, header: int, entity: int, rank: str, row: Sequence[Stored]
    ) -> None:
        marks = ", ".join(f"${n + 4}" for n in range(len(row)))
        await connection.execute(
            f"INSERT INTO {self._table}_variant (id, parent, rank, {self._columns}) "
            f"VALUES ($1, $2, $3, {marks})",
            header,
            entity,
            rank,
            *row,
        )

    def _rank(self, row: Sequence[Stored], above: int) -> str:
        texts = [row[place] for _, place, _ in self._places]
        return f"{precedence(self._level, self._decode(texts))}|{above}"

    def _decode(self, texts: Sequence[Stored]) -> Attributes:
        pairs = zip(self._attributes, texts, strict=True)
        return {
            a.tag: a.values(decode(text)) for a, text in pairs if isinstance(text, str) and text
        }

    async def _vary(
        self, connection: Any, entity: int, header: int, rank: str, shown: Sequence[Stored]
    ) -> None:
        """Give the only header that an entity has had the row that each has from now on."""
        await self._note(connection, header, entity, rank, shown)
        await connection.execute(
            "INSERT INTO several (match, value, number, owner) "
            "SELECT $1::text || match, value, number, $2 FROM several "
            "WHERE owner = $3 AND match = ANY($4::text[])",
            self._prefix,
            header,
            entity,
            self._own_matches,
        )

    async def _show(self, connection: Any, entity: int, rank: str) -> None:
        """Show what the first headers have, after the one with `rank` has come or gone."""
        texts = ", ".join(attribute.keyword for attribute in self._attributes)
        first = await connection.fetch(
            f"SELECT rank, {texts} FROM {self._table}_variant WHERE parent = $1 "
            f"ORDER BY rank LIMIT {CONSIDERED}",
            entity,
        )
        if len(first) == CONSIDERED and rank > first[-1][0]:
            return
        columns = zip(*(list(row)[1:] for row in first), strict=True)
        merged = [next((v for v in column if v is not None), None) for column in columns]
        row, several = self.rows.row(self._decode(merged))
        marks = ", ".join(f"${n + 2}" for n in range(len(row)))
        await connection.execute(
            f"UPDATE {self._table} SET ({self._columns}) = ROW ({marks}) WHERE id = $1",
            entity,
            *row,
        )
        await self._delete_several(connection, entity)
        await self._insert_several(connection, entity, several)

    async def _differences(
        self, connection: Any, entity: int, row: Sequence[Stored], shown: Sequence[Stored]
    ) -> list[HeaderDifference]:
        found = []
        for attribute, text, match in self._places:
            mine, theirs = row[match] or row[text], shown[match] or shown[text]
            if not (attribute.matches and row[text] and shown[text]) or mine == theirs:
                continue
            table = f"{self._table}_variant"
            differs_already = await connection.fetchval(
                f"SELECT EXISTS (SELECT FROM {table} WHERE parent = $1 "
                f"AND {comparison_of(attribute, table)} != $2)",
                entity,
                str(theirs),
            )
            if not differs_already:
                values = (decode(str(shown[text])), decode(str(row[text])))
                found.append(HeaderDifference(attribute.keyword, values))
        return found

    async def _insert_several(
        self, connection: Any, owner: int, several: Several, prefix: str = ""
    ) -> None:
        if several:
            await connection.execute(INSERT_SEVERAL, *several_columns(several, prefix), owner)

    async def _delete_several(self, connection: Any, owner: int, prefix: str = "") -> None:
        matches = [prefix + match for match in self._own_matches]
        await connection.execute(
            "DELETE FROM several WHERE owner = $1 AND match = ANY($2::text[])", owner, matches
        )


def _same(shown: Sequence[Stored], row: Sequence[Stored]) -> bool:
    """Tell whether two rows are the same; NaN is the same as itself."""
    return all(a == b or (a != a and b != b) for a, b in zip(shown, row, strict=True))
