"""The table ``[peers.NAME]``: to whom this node sends, and what."""

import math

from attrs import field, frozen
from attrs.validators import and_, ge, gt, le, lt, optional

from pacs_core.contracts import (
    ClientTls,
    DicomWebPeer,
    EncodeOptions,
    Peer,
    Secret,
    TransferPolicy,
    check_ae_title,
)
from pacs_core.dataset import (
    SPECIFIC_CHARACTER_SETS,
    are_character_sets,
    are_transfer_syntaxes,
    transfer_syntax_uids,
)


def is_ae_title(_instance: object, _attribute: object, value: str) -> None:
    """Validate an AE title, as a validator of attrs."""
    check_ae_title(value)


def are_character_set_terms(_instance: object, _attribute: object, value: tuple[str, ...]) -> None:
    """Validate values of Specific Character Set, as a validator of attrs."""
    if not are_character_sets(value):
        raise ValueError(
            f"{list(value)} are no values of Specific Character Set (PS3.3 C.12.1.1.2), "
            f"which are {', '.join(SPECIFIC_CHARACTER_SETS)}"
        )


@frozen
class PeerSettings:
    """``[peers.NAME]``: a remote application entity.

    Attributes
    ----------
    ae_title : str or None
        By which C-MOVE names it as a destination; None, as is `host`, for who has `dicomweb` only.
    host : str or None
        Name or address.
    port : int
        Where it listens.
    accepted : tuple of str
        Transfer syntaxes that it may be sent; empty for all that it negotiates, or, by `dicomweb`,
        for all.
    preferred : tuple of str
        Transfer syntaxes to send it, the best first; empty for those of ``[transcoding]``.
    lossy : bool
        Whether lossy ones among the preferred are used; `quality` or `ratio` says how.
    quality : float or None
        Of lossy compression, from 0 to 100.
    ratio : float or None
        Of lossy compression: native to compressed size.
    new_uid : bool
        Whether what is compressed lossily on its way gets a SOP Instance UID of its own.
    receives : tuple of str
        Transfer syntaxes to choose, the best first, of those that it proposes to this node.
    default_character_set : tuple of str
        Specific Character Set of what it sends without naming one, or naming a wrong one; empty
        for that of ``[node]``.
    associations : int
        Associations at once on which C-MOVE, and whatever else sends, stores at it; with more than
        one, instances do not arrive in order.
    outstanding : int
        C-STORE requests to it on one association that may wait for their responses at once, if it
        agrees to that (asynchronous operations window, PS3.7 D.3.3.3); not proposed if 1.
    tls : ClientTls or None
        How associations with it are secured; None if they are not.
    deidentify : str
        Profile by which instances are de-identified before they are sent to it from the archive,
        by C-MOVE, C-GET and whatever else sends; empty if they are sent as they are.
    dicomweb : str
        URL of its DICOMweb server, as ``https://host/dicom-web``; who has one needs neither AE
        title nor host.
    dicomweb_token : Secret or None
        Bearer token for it.
    dicomweb_user : str
        For HTTP Basic authentication, with `dicomweb_password`.
    dicomweb_password : Secret or None
    dicomweb_tls : ClientTls or None
        How it is reached by ``https:`` where not by the certificates that the system trusts.
    """

    ae_title: str | None = field(default=None, validator=optional(is_ae_title))
    host: str | None = None
    port: int = field(default=104, validator=and_(ge(1), le(65535)))
    accepted: tuple[str, ...] = field(default=(), validator=are_transfer_syntaxes)
    preferred: tuple[str, ...] = field(default=(), validator=are_transfer_syntaxes)
    lossy: bool = False
    quality: float | None = field(default=None, validator=optional(and_(ge(0), le(100))))
    ratio: float | None = field(default=None, validator=optional(and_(gt(1), lt(math.inf))))
    new_uid: bool = False
    receives: tuple[str, ...] = field(default=(), validator=are_transfer_syntaxes)
    default_character_set: tuple[str, ...] = field(default=(), validator=are_character_set_terms)
    associations: int = field(default=1, validator=and_(ge(1), le(64)))
    outstanding: int = field(default=1, validator=and_(ge(1), le(256)))
    tls: ClientTls | None = None
    deidentify: str = ""
    dicomweb: str = ""
    dicomweb_token: Secret | None = None
    dicomweb_user: str = ""
    dicomweb_password: Secret | None = None
    dicomweb_tls: ClientTls | None = None

    @property
    def is_application_entity(self) -> bool:
        """Whether it can be associated with."""
        return self.ae_title is not None or self.host is not None

    def __attrs_post_init__(self) -> None:
        for key in ("ae_title", "host"):
            if getattr(self, key) is None and (self.is_application_entity or not self.dicomweb):
                raise ValueError(f"the required key {key!r} is missing")
        self.as_dicomweb_peer()
        if self.deidentify and self.dicomweb:
            raise ValueError("deidentify is not for what goes to dicomweb: make two peers of it")
        if self.lossy and self.quality is None and self.ratio is None:
            raise ValueError("lossy = true: say how lossy, with quality or ratio")

    def as_dicomweb_peer(self) -> DicomWebPeer | None:
        """Return its DICOMweb server, if it has one."""
        secrets = (self.dicomweb_token, self.dicomweb_user, self.dicomweb_password)
        if not self.dicomweb:
            if any(secrets) or self.dicomweb_tls:
                raise ValueError("dicomweb is missing: the URL that its other keys are about")
            return None
        return DicomWebPeer(self.dicomweb.rstrip("/"), *secrets, self.dicomweb_tls, self.transfer)

    @property
    def transfer(self) -> TransferPolicy:
        """What it is sent."""
        return TransferPolicy(
            transfer_syntax_uids(self.accepted),
            transfer_syntax_uids(self.preferred),
            self.lossy,
            EncodeOptions(self.quality, self.ratio),
            self.new_uid,
        )

    def as_peer(self, name: str) -> Peer:
        """Return the peer, as plugins see it."""
        return Peer(
            self.ae_title or "",
            self.host or "",
            self.port,
            name,
            self.transfer,
            self.default_character_set,
            self.tls,
            self.deidentify,
            self.associations,
            self.outstanding,
        )
