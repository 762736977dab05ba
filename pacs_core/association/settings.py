"""The table ``[network]``: how this node behaves as an acceptor of associations."""

from attrs import field, frozen
from attrs.validators import ge

from pacs_core.contracts import Timeouts
from pacs_core.transcoding import are_transfer_syntaxes
from pacs_core.upper_layer import Limits


@frozen
class NetworkSettings:
    """How this node behaves as an acceptor of associations.

    Attributes
    ----------
    max_associations : int
        Associations at once; one more is rejected with 2,3,2 (PS3.8 Table 9-21).
    max_pdu_length : int
        Largest P-DATA-TF PDU that peers may send, in bytes.
    check_called_ae_title : bool
        Reject associations that call another AE title than this node's.
    calling_ae_titles : tuple of str
        Only these may associate; empty lets everybody.
    prefer_own_order : bool
        Choose transfer syntaxes in the provider's order rather than in the proposer's.
    receives : tuple of str
        Transfer syntaxes to choose, the best first, of those that are proposed to this node;
        empty leaves it to the order above.
    operations_window : int
        Operations that a peer may have outstanding on one association, if it asks for more than
        one (PS3.7 D.3.3.3).
    memory_budget : int
        Bytes that datasets under way may hold in memory, over all associations and workers. A
        sender that gets none waits, and after ``timeouts.memory`` is answered A700H.
    timeouts : Timeouts
    """

    max_associations: int = field(default=256, validator=ge(1))
    max_pdu_length: int = field(default=131072, validator=ge(4096))
    check_called_ae_title: bool = False
    calling_ae_titles: tuple[str, ...] = ()
    prefer_own_order: bool = False
    receives: tuple[str, ...] = field(default=(), validator=are_transfer_syntaxes)
    operations_window: int = field(default=8, validator=ge(1))
    memory_budget: int = field(default=512 * 1024 * 1024, validator=ge(16 * 1024 * 1024))
    timeouts: Timeouts = field(factory=Timeouts)

    @property
    def limits(self) -> Limits:
        """What one association may ask of the upper layer."""
        return Limits(max_pdu_length=self.max_pdu_length)
