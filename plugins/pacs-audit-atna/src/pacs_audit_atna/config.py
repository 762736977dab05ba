"""The table ``[plugin.audit-atna]``."""

import math
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen, validators

from pacs_core.contracts import ClientTls, Secret

SCHEMES = ("tls", "tcp", "udp", "https", "http")
_PORTS = {"tls": 6514, "tcp": 601, "udp": 514}

_seconds = validators.and_(validators.gt(0.0), validators.lt(math.inf))


@frozen
class AuditAtnaConfig:
    """Which collector gets the events, in which form, and what if it is away.

    Attributes
    ----------
    collector : str
        ``tls://HOST:PORT`` (syslog, RFC 5425), ``tcp://`` (the same without TLS), ``udp://``
        (RFC 5426), or ``https://`` or ``http://``, to which FHIR resources are posted. Empty:
        nothing is sent anywhere.
    tls : ClientTls or None
        For ``tls`` and ``https``: CA, certificate and key of this node, as of ``[peers.NAME.tls]``.
    token : Secret or None
        For ``https`` and ``http``: a bearer token.
    required : bool
        Whether an operation whose event could not be spooled is not acknowledged.
    source_id : str
        Audit Source ID of this node; empty for its AE title.
    site : str
        Audit Enterprise Site ID.
    message_id : str
        MSGID of syslog: ``DICOM+RFC3881`` (PS3.15 A.6), or ``IHE+RFC-3881`` for those who ask so.
    spool_bytes : int
        Bytes of events that may wait for a collector that is away.
    when_full : ``"fail"`` or ``"drop"``
        What becomes of events that find the spool full. With ``"fail"`` they are not recorded,
        and with `required` nothing is acknowledged any more; with ``"drop"`` they are dropped and
        counted, which is logged and told the collector.
    fsync : bool
        Whether spooled events survive a power failure.
    timeout : float
        Seconds for the collector to take what is sent.

    Raises
    ------
    ValueError
        The collector's address, or a number, makes no sense.
    """

    collector: str = field(default="")
    tls: ClientTls | None = None
    token: Secret | None = None
    required: bool = False
    source_id: str = ""
    site: str = ""
    message_id: str = field(default="DICOM+RFC3881", validator=validators.matches_re("[!-~]{1,32}"))
    spool_bytes: int = field(default=1024**3, validator=validators.ge(1024**2))
    when_full: Literal["fail", "drop"] = "fail"
    fsync: bool = True
    timeout: float = field(default=30.0, validator=_seconds)

    @collector.validator
    def _check_collector(self, _attribute: object, value: str) -> None:
        if value:
            split_address(value)

    @property
    def address(self) -> SplitResult:
        """The collector's address."""
        return split_address(self.collector)

    @property
    def is_fhir(self) -> bool:
        """Whether the collector takes FHIR resources."""
        return self.address.scheme.startswith("http")

    @property
    def port(self) -> int:
        """The port of the collector."""
        return self.address.port or _PORTS[self.address.scheme]


def split_address(value: str) -> SplitResult:
    """Return the parts of a collector's address.

    Raises
    ------
    ValueError
        It is none.
    """
    address = urlsplit(value)
    if address.scheme not in SCHEMES or not address.hostname or address.port == 0:
        raise ValueError(f"{value!r} is no collector: name it like tls://audit.hospital.org:6514")
    if not address.scheme.startswith("http") and (address.path or address.query):
        raise ValueError(f"{value!r}: nothing follows the port of a syslog collector")
    if address.username or address.password:
        raise ValueError("no secrets in the collector's address: use token")
    return address
