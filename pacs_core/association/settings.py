"""The table ``[network]``: how this node behaves as an acceptor of associations."""

import math
from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, le, lt, optional

from pacs_core.contracts import RELOADABLE, ServerTls, Timeouts
from pacs_core.dataset import are_transfer_syntaxes
from pacs_core.upper_layer import Limits


@frozen
class NetworkTls(ServerTls):
    """``[network.tls]``: associations secured by TLS, on a port of their own.

    Attributes
    ----------
    certificate : Path
        PEM: the certificate, then those of intermediate CAs. When the file changes, it is read
        again; the same holds for key and CAs.
    key : Secret or None
        PEM: the private key; unset if it is in the file of the certificate.
    passphrase : Secret or None
        Of the key.
    ca : Path or None
        PEM: CAs that vouch for those who connect.
    peers : PeerCertificates
        Whether who connects needs a certificate: ``"required"``, ``"optional"``, ``"ignored"``.
    profile : TlsProfile
        ``"bcp195"`` (PS3.15 B.12), ``"bcp195-modified"`` (PS3.15 B.13) or ``"custom"``.
    ciphers : str
        With ``"custom"``: cipher suites of TLS 1.2, as OpenSSL names them, with colons between.
    port : int
        0 chooses a free one; 2762 is registered for DICOM with TLS (PS3.8 §9.1.1).
    plain : bool
        Whether the port of ``[node]``, which is not secured, is open as well.
    """

    port: int = field(default=2762, validator=and_(ge(0), le(65535)))
    plain: bool = True


@frozen
class NetworkSettings:
    """How this node behaves as an acceptor of associations.

    Attributes
    ----------
    max_associations : int
        Associations at once; one more is rejected with 2,3,2 (PS3.8 Table 9-21).
    max_associations_per_host : int or None
        Associations that one host may have at once. None leaves a quarter of the node's for
        others, if the node has 16 or more.
    max_associations_per_peer : int
        Associations that this node has with one peer at once, as their requestor; one more waits
        until another has ended, for at most ``timeouts.idle``.
    max_half_open, max_half_open_per_host : int
        Connections without an association yet, of all hosts and of one; a further one takes the
        place of the oldest of its host, or of the host that has most.
    associations_per_second : float
        Associations that one host may ask for in a second; more are rejected with 2,3,2. 0 sets no
        limit.
    requests_per_second : float
        DIMSE requests of one host that are read in a second, over all its associations; more have
        to wait. 0 sets no limit.
    refusals_recorded : int
        Refusals of one host that are logged and audited one by one in a minute; of more, the
        number is.
    max_pdu_length : int
        Largest P-DATA-TF PDU that peers may send, in bytes.
    check_called_ae_title : bool
        Reject associations that call another AE title than this node's.
    calling_ae_titles : tuple of str
        Only these may associate; empty lets everybody.
    unknown_identities : ``"refused"`` or ``"ignored"``
        What becomes of a peer whose user identity (PS3.7 D.3.3.7) no authenticator verifies, as
        soon as there are any in use.
    prefer_own_order : bool
        Choose transfer syntaxes in the provider's order rather than in the proposer's.
    receives : tuple of str
        Transfer syntaxes to choose, the best first, of those that are proposed to this node;
        empty leaves it to the order above.
    operations_window : int
        Operations that a peer may have outstanding on one association, if it asks for more than
        one (PS3.7 D.3.3.3).
    memory_budget : int
        Bytes that datasets under way, and A-ASSOCIATE-RQs that have not arrived whole, may hold
        in memory, over all associations and workers. A
        sender that gets none waits, and after ``timeouts.memory`` is answered A700H.
    timeouts : Timeouts
    tls : NetworkTls or None
        None accepts no secured associations.
    """

    max_associations: int = field(default=256, validator=ge(1), metadata=RELOADABLE)
    max_associations_per_host: int | None = field(
        default=None, validator=optional(ge(1)), metadata=RELOADABLE
    )
    max_associations_per_peer: int = field(default=16, validator=ge(1), metadata=RELOADABLE)
    max_half_open: int = field(default=128, validator=ge(1), metadata=RELOADABLE)
    max_half_open_per_host: int = field(default=32, validator=ge(1), metadata=RELOADABLE)
    associations_per_second: float = field(
        default=0.0, validator=[ge(0), lt(math.inf)], metadata=RELOADABLE
    )
    requests_per_second: float = field(
        default=0.0, validator=[ge(0), lt(math.inf)], metadata=RELOADABLE
    )
    refusals_recorded: int = field(default=20, validator=ge(1), metadata=RELOADABLE)
    max_pdu_length: int = field(default=131072, validator=ge(4096), metadata=RELOADABLE)
    check_called_ae_title: bool = field(default=False, metadata=RELOADABLE)
    calling_ae_titles: tuple[str, ...] = field(default=(), metadata=RELOADABLE)
    unknown_identities: Literal["refused", "ignored"] = field(
        default="refused", metadata=RELOADABLE
    )
    prefer_own_order: bool = field(default=False, metadata=RELOADABLE)
    receives: tuple[str, ...] = field(
        default=(), validator=are_transfer_syntaxes, metadata=RELOADABLE
    )
    operations_window: int = field(default=8, validator=ge(1), metadata=RELOADABLE)
    memory_budget: int = field(default=512 * 1024 * 1024, validator=ge(16 * 1024 * 1024))
    timeouts: Timeouts = field(factory=Timeouts)
    tls: NetworkTls | None = None

    @property
    def associations_per_host(self) -> int:
        """How many associations one host may have at once."""
        if self.max_associations_per_host is not None:
            return self.max_associations_per_host
        return self.max_associations - (self.max_associations // 4) * (self.max_associations >= 16)

    @property
    def limits(self) -> Limits:
        """What one association may ask of the upper layer."""
        return Limits(max_pdu_length=self.max_pdu_length)
