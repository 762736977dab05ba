"""The table ``[plugin.metrics]``."""

from attrs import field, frozen
from attrs.validators import and_, ge, le, optional


@frozen
class MetricsConfig:
    """A port on which nothing but the metrics is answered, for nodes without a web server.

    Nobody is asked who they are there: let it be reached by monitors alone.

    Attributes
    ----------
    host : str
        Address to listen on; the default is reachable from this machine only.
    port : int or None
        0 chooses a free one; None for no port, and ``/metrics`` of the web server alone.
    """

    host: str = "127.0.0.1"
    port: int | None = field(default=None, validator=optional(and_(ge(0), le(65535))))
