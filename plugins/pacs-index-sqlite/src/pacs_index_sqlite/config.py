"""The configuration table ``[plugin.index-sqlite]``."""

from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import ge, in_

from pacs_core.contracts import FurtherAttribute


@frozen
class SqliteIndexConfig:
    """Settings of the index.

    Attributes
    ----------
    path : Path or None
        The database file; by default ``index.sqlite`` in the node's data directory. It must lie
        on a local disk, because SQLite's write-ahead log needs shared memory.
    synchronous : str
        ``"full"``: what was acknowledged survives a power failure. ``"normal"``: it survives a
        crash of the process, and a power failure may take the latest with it. ``"off"``: for
        tests.
    batch : int
        At most so many changes are committed together.
    known_series : int
        So many series are remembered in memory, whose rows need not be looked up again.
    readers : int
        So many searches read at the same time.
    busy_timeout : float
        Seconds to wait while another process writes.
    attributes : tuple of FurtherAttribute
        Further attributes to match on and return. Instances that are in the index already lack
        them until it is built again.
    """

    path: Path | None = None
    synchronous: Literal["full", "normal", "off"] = field(
        default="full", validator=in_(("full", "normal", "off"))
    )
    batch: int = field(default=512, validator=ge(1))
    known_series: int = field(default=1024, validator=ge(1))
    readers: int = field(default=4, validator=ge(1))
    busy_timeout: float = field(default=20.0, validator=ge(0))
    attributes: tuple[FurtherAttribute, ...] = ()
