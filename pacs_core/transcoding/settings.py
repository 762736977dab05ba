"""The table ``[transcoding]``: how instances are converted on their way."""

from collections.abc import Mapping

from attrs import field, frozen

from pacs_core.dataset import are_transfer_syntaxes, transfer_syntax_uid, transfer_syntax_uids
from pacs_core.transcoding.workers.limits import WorkerLimits


@frozen
class TranscodingSettings:
    """How instances are converted for peers that do not take them as they are stored.

    Attributes
    ----------
    preferred : tuple of str
        Transfer syntaxes to send, the best first, to peers that have no preferences of their
        own. Empty sends what is stored wherever it is accepted.
    codecs : mapping of str to str
        Name of the codec to use for a transfer syntax, instead of the first in the order of
        plugins that is configured, or else the one that is said to be faster.
    verify : bool
        Whether what is compressed without loss for a peer is decoded again, and compared, before
        anything of it is sent. What the node compresses to keep always is.
    limits : WorkerLimits
    """

    preferred: tuple[str, ...] = field(default=(), validator=are_transfer_syntaxes)
    codecs: Mapping[str, str] = field(factory=dict, validator=are_transfer_syntaxes)
    verify: bool = False
    limits: WorkerLimits = field(factory=WorkerLimits)

    @property
    def preferred_uids(self) -> tuple[str, ...]:
        """UIDs of the preferred transfer syntaxes."""
        return transfer_syntax_uids(self.preferred)

    @property
    def codec_choices(self) -> Mapping[str, str]:
        """Names of codecs by transfer syntax UID."""
        return {transfer_syntax_uid(name): codec for name, codec in self.codecs.items()}
