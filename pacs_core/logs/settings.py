"""The table ``[log]``."""

import math
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen
from attrs.validators import deep_mapping, ge, in_, instance_of, lt

from pacs_core.contracts.reloading import RELOADABLE
from pacs_core.logs.level_names import LEVELS


@frozen
class LogSettings:
    """``[log]``: what the node tells about itself, and where.

    Attributes
    ----------
    level : str
        One of ``debug``, ``info``, ``warning``, ``error``, ``critical``.
    levels : mapping of str to str
        Levels of loggers that have others, by their names; that of a logger holds for those below
        it as well: ``"pacs_web" = "debug"``.
    format : str
        ``"text"``, or ``"json"`` for an object of JSON on each line.
    file : Path or None
        File that entries are appended to; None for standard error.
    max_bytes : int
        Size from which the file is set aside and a new one begun; 0 means never.
    daily : bool
        Whether it is also set aside with the first entry of a new day, by UTC.
    backups : int
        How many files that were set aside are kept; 0 means all.
    slow_loop : float
        Seconds that a plugin may block the event loop before it is named in the log; 0 watches
        nothing.
    """

    level: str = field(default="info", validator=in_(LEVELS), metadata=RELOADABLE)
    levels: Mapping[str, str] = field(
        factory=dict,
        validator=deep_mapping(instance_of(str), in_(LEVELS)),
        metadata=RELOADABLE,
    )
    format: str = field(default="text", validator=in_(("text", "json")), metadata=RELOADABLE)
    file: Path | None = field(default=None, metadata=RELOADABLE)
    max_bytes: int = field(default=100 * 1024 * 1024, validator=ge(0), metadata=RELOADABLE)
    daily: bool = field(default=False, metadata=RELOADABLE)
    backups: int = field(default=10, validator=ge(0), metadata=RELOADABLE)
    slow_loop: float = field(default=1.0, validator=[ge(0), lt(math.inf)])
