class PlainElements:
    def __new__(cls, element: type, element_set: type, /) -> PlainElements: ...
    def take(
        self,
        buffer: bytes | memoryview,
        position: int,
        end: int,
        elements: dict[int, object],
        character_sets: tuple[str, ...],
        known: dict[int, str] | None,
        limits: tuple[int, int, int, int, int],
        sequence_end: int,
        obstacle: int,
        /,
    ) -> tuple[int, int, int, int, int]: ...
