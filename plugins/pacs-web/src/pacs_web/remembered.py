"""A memory of what usual headers say: clients send the same again and again."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
T = TypeVar("T")

_HEADERS: Final = 256
_LENGTH: Final = 256


def remembered(read: Callable[[str, *Arguments], T]) -> Callable[[str, *Arguments], T]:
    """Let a function of a header, and of what can be hashed, remember what it has returned.

    Headers of more than 256 characters are read anew each time, for a client could fill the memory
    with them. What is returned must not be changed.
    """
    recall = lru_cache(maxsize=_HEADERS)(read)

    @wraps(read)
    def choose(header: str, *arguments: *Arguments) -> T:
        if len(header) > _LENGTH:
            return read(header, *arguments)
        return recall(header, *arguments)

    return choose
