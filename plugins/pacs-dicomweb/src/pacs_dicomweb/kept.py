"""A memory, within limits, of what was made of instances, for whoever asks next."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T")


@define
class Kept(Generic[T]):
    """Values by names, the ones forgotten first that were not asked for the longest.

    Attributes
    ----------
    most : callable
        Returns how many bytes all may have; 0 keeps nothing. What has more than an eighth is not
        kept.
    """

    most: Callable[[], int]
    _values: "OrderedDict[str, tuple[T, int]]" = field(factory=OrderedDict, init=False)
    _size: int = field(default=0, init=False)

    def get(self, name: str) -> T | None:
        """Return what is kept under a name, if it is still there."""
        if not name or (found := self._values.get(name)) is None:
            return None
        self._values.move_to_end(name)
        return found[0]

    def keep(self, name: str, value: T, size: int) -> None:
        """Keep a value of `size` bytes; under no name, nothing."""
        most = self.most()
        if name and size * 8 <= most:
            self._size += size - self._values.pop(name, (value, 0))[1]
            self._values[name] = value, size
        while self._size > most:
            _, (_, forgotten) = self._values.popitem(last=False)
            self._size -= forgotten
