"""The table ``[plugin.store-filesystem]``, or ``[stores.NAME]`` of ``type = "filesystem"``."""

from pathlib import Path
from typing import Any

from attrs import Attribute, field, frozen, validators

from pacs_store_filesystem.layout import DEFAULT_LAYOUT, KeyLayout


def _valid_layout(_: object, __: "Attribute[Any]", value: str) -> None:
    KeyLayout.parse(value)


@frozen
class FilesystemConfig:
    """Where objects lie, and under which names.

    Attributes
    ----------
    root : Path or None
        Directory of the store, made if missing; None means ``<data_directory>/objects``, and
        ``<data_directory>/stores/NAME`` for one of ``[stores.NAME]``.
    layout : str
        Template of the names below `root`, see :class:`~pacs_store_filesystem.layout.KeyLayout`.
    threads : int
        How many threads may do input and output at once.

    Raises
    ------
    ValueError
        The layout is not usable, or `threads` is below 1; says why.
    """

    root: Path | None = None
    layout: str = field(default=DEFAULT_LAYOUT, validator=_valid_layout)
    threads: int = field(default=16, validator=validators.ge(1))
