"""The table ``[plugin.tracing]``."""

import math
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen
from attrs.validators import and_, ge, gt, le, lt

from pacs_core.contracts import Secret


@frozen
class TracingConfig:
    """Where spans are sent, and how many.

    Attributes
    ----------
    endpoint : str
        URL of a collector that takes OTLP over HTTP, with its path, which usually is
        ``/v1/traces``; empty for no tracing.
    headers : mapping of str to Secret
        To be sent with them, such as ``Authorization``.
    ca : Path or None
        PEM file with the certificates that the collector's is verified with; None for those that
        the system trusts.
    service : str
        Name of the service, ``service.name``.
    ratio : float
        Which part of all traces is kept, from 0 to 1. What belongs to a trace is kept as the rest
        of it is.
    trust_callers : bool
        Whether a request whose ``traceparent`` says that its trace is kept, or is not, decides
        for this node as well; otherwise `ratio` does.
    uids : bool
        Whether spans have SOP Instance UIDs and paths of requests, which lead to patients.
    queue : int
        Spans that wait to be sent at most; what comes beyond is lost.
    timeout : float
        Seconds for the collector to take some.

    Raises
    ------
    ValueError
        The endpoint is no URL of ``http:`` or ``https:``.
    """

    endpoint: str = field(default="")
    headers: Mapping[str, Secret] = field(factory=dict)
    ca: Path | None = None
    service: str = "pacs"
    ratio: float = field(default=1.0, validator=and_(ge(0.0), le(1.0)))
    trust_callers: bool = False
    uids: bool = False
    queue: int = field(default=4096, validator=and_(ge(512), le(1_000_000)))
    timeout: float = field(default=10.0, validator=and_(gt(0.0), lt(math.inf)))

    @endpoint.validator
    def _check_endpoint(self, _attribute: object, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        if endpoint and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError(f"write it as http://host:4318/v1/traces, not {endpoint!r:.80}")
