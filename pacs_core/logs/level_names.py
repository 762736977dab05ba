"""Names of levels, apart from logging, which commands for files do without."""

from typing import Final, Literal, get_args

LogLevel = Literal["debug", "info", "warning", "error", "critical"]

LEVELS: Final[tuple[str, ...]] = get_args(LogLevel)
