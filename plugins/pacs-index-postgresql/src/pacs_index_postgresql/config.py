"""The configuration table ``[plugin.index-postgresql]``."""

from attrs import field, frozen
from attrs.validators import ge, gt, matches_re

from pacs_core.contracts import FurtherAttribute, Secret


@frozen
class PostgresqlIndexConfig:
    """Settings of the index.

    Attributes
    ----------
    dsn : Secret or None
        Where the database is, and who asks: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``, with
        the options of libpq behind a question mark (``sslmode``, ``sslrootcert``,
        ``target_session_attrs``; several hosts joined by commas).
    schema : str
        The schema that has the tables; it is made if there is none. Archives that share a database
        each have their own.
    batch : int
        At most so many changes are committed together.
    known_series : int
        So many series are remembered in memory, whose rows need not be looked up again.
    readers : int
        So many searches read at the same time, each on a connection.
    timeout : float
        Seconds after which what could not be done fails: because the server is away, is slow, or
        has no connection left. Until then it is tried again.
    attributes : tuple of FurtherAttribute
        Further attributes to match on and return. Instances that are in the index already lack
        them until it is built again.
    """

    dsn: Secret | None = None
    schema: str = field(default="pacs", validator=matches_re(r"[a-z_][a-z0-9_]{0,40}"))
    batch: int = field(default=512, validator=ge(1))
    known_series: int = field(default=4096, validator=ge(1))
    readers: int = field(default=4, validator=ge(1))
    timeout: float = field(default=20.0, validator=gt(0))
    attributes: tuple[FurtherAttribute, ...] = ()
