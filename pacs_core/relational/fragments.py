"""Pieces of SQL with bound parameters: comparisons with a column that an index can serve."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import frozen

_LONGEST_CHAIN = 24
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


@frozen
class Sql:
    """A boolean expression, its parameters, and the functions of ours that it calls."""

    text: str
    parameters: tuple[Any, ...] = ()
    functions: tuple[tuple[str, Callable[[Any], Any]], ...] = ()


ALWAYS = Sql("TRUE")
NEVER = Sql("FALSE")
NOTHING = Sql("")


def _join(word: str, parts: Sequence[Sql]) -> Sql:
    return Sql(
        f"({f' {word} '.join(part.text for part in parts)})",
        tuple(value for part in parts for value in part.parameters),
        tuple(function for part in parts for function in part.functions),
    )


def any_of(parts: Sequence[Sql]) -> Sql:
    """Return the disjunction of parts, of which there is one at least."""
    return _join_all("OR", parts)


def all_of(parts: Sequence[Sql]) -> Sql:
    """Return the conjunction of any number of parts."""
    return _join_all("AND", parts) if parts else ALWAYS


def _join_all(word: str, parts: Sequence[Sql]) -> Sql:
    """Return parts joined, in short chains of chains.

    How many conditions a query has is up to the peer, and to rules. One chain of them would exceed
    how deep an expression may be for SQLite, and parentheses for each two the stack of its parser.
    """
    if len(parts) == 1:
        return parts[0]
    if len(parts) <= _LONGEST_CHAIN:
        return _join(word, parts)
    size = -(-len(parts) // _LONGEST_CHAIN)
    chunks = [parts[at : at + size] for at in range(0, len(parts), size)]
    return _join(word, [_join_all(word, chunk) for chunk in chunks])


Comparison = Callable[[str], Sql]
"""Makes a comparison with the column that it is given."""


def equal(value: str | int) -> Comparison:
    """Compare for equality."""
    return lambda column: Sql(f"{column} = ?", (value,))


def in_range(low: str, high: str) -> Comparison:
    """Compare with an inclusive range."""
    return lambda column: Sql(f"{column} BETWEEN ? AND ?", (low, high))


def with_prefix(prefix: str) -> Comparison:
    """Compare with a prefix, as the range of text that begins with it."""
    if not prefix:
        return lambda column: Sql(f"{column} IS NOT NULL")
    stop = after(prefix)
    if stop is None:
        return lambda column: Sql(f"{column} >= ?", (prefix,))
    return lambda column: Sql(f"({column} >= ? AND {column} < ?)", (prefix, stop))


def after(prefix: str) -> str | None:
    """Return the first text, by code points, beyond all that begin with `prefix`."""
    stem = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def like(
    pattern: str, names: Iterator[int], rest: Callable[[str, Iterator[int]], Comparison]
) -> Comparison:
    """Compare with a wild card pattern (PS3.4 C.2.2.2.4), by its prefix first.

    Parameters
    ----------
    pattern : str
    names : iterator of int
        Numbers functions of ours.
    rest : callable
        Compares with what a prefix alone does not say: :meth:`Dialect.like`.
    """
    pattern = re.sub(r"\*+", "*", pattern)
    prefix = re.split(r"[*?]", pattern, maxsplit=1)[0]
    if prefix == pattern:
        return equal(pattern)
    begins = with_prefix(prefix)
    if pattern == f"{prefix}*":
        return begins
    whole = rest(pattern, names)
    return lambda column: all_of((begins(column), whole(column)))
