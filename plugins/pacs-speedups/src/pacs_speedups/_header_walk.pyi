from collections.abc import Callable, Iterable

class HeaderWalk:
    def __new__(
        cls, wanted: dict[int, str], sequences: Iterable[int], last: int, /
    ) -> HeaderWalk: ...
    def walk(
        self,
        buffer: bytes | memoryview,
        position: int,
        base: int,
        last_tag: int,
        flags: int,
        limit: int,
        max_value: int,
        attributes: dict[int, tuple[object, ...]],
        take: Callable[[int, str, int, int], None],
        /,
    ) -> tuple[int, int, bool]: ...
