"""Remote application entities, and what may be sent to each."""

from urllib.parse import urlsplit

from attrs import field, frozen

from pacs_core.contracts.codec import EncodeOptions
from pacs_core.contracts.secret import Secret
from pacs_core.contracts.tls import ClientTls


@frozen
class TransferPolicy:
    """In which transfer syntaxes instances are sent to a peer.

    Attributes
    ----------
    accepted : tuple of str
        UIDs of the transfer syntaxes that it may be sent; empty for all that it negotiates.
    preferred : tuple of str
        UIDs, the best first; what is stored in another is converted if it can be.
    lossy : bool
        Whether preferred transfer syntaxes may be lossy ones.
    options : EncodeOptions
        How lossy.
    new_uid : bool
        Whether what was compressed lossily on its way has a SOP Instance UID of its own.
    """

    accepted: tuple[str, ...] = ()
    preferred: tuple[str, ...] = ()
    lossy: bool = False
    options: EncodeOptions = field(factory=EncodeOptions)
    new_uid: bool = False


@frozen
class Peer:
    """A remote application entity.

    Attributes
    ----------
    ae_title : str
    host : str
    port : int
    name : str
        Of its ``[peers.NAME]`` table; empty for a peer given by address.
    transfer : TransferPolicy
    default_character_set : tuple of str
        Specific Character Set that is assumed of what it sends, where that names none, or lies;
        empty for the node's.
    tls : ClientTls or None
        How associations with it are secured; None if they are not.
    deidentify : str
        Profile by which the archive's instances are de-identified before they are sent to it;
        empty if they are sent as they are.
    associations : int
        On so many at once it is sent instances.
    outstanding : int
        Requests on one association that may wait for their responses at once, if it agrees to that
        (PS3.7 D.3.3.3).
    """

    ae_title: str
    host: str
    port: int
    name: str = ""
    transfer: TransferPolicy = field(factory=TransferPolicy)
    default_character_set: tuple[str, ...] = ()
    tls: ClientTls | None = None
    deidentify: str = ""
    associations: int = 1
    outstanding: int = 1

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"


@frozen
class DicomWebPeer:
    """A server of DICOMweb (PS3.18), as its clients need it: ``dicomweb`` of ``[peers.NAME]``.

    Attributes
    ----------
    url : str
        Of its root: that to which ``/studies`` is added. Without user and password.
    token : Secret or None
        Bearer token (RFC 6750).
    user : str
        For HTTP Basic authentication (RFC 7617), with `password`.
    password : Secret or None
    tls : ClientTls or None
        How ``https:`` is secured where that is not by the certificates that the system trusts.
    transfer : TransferPolicy
        In which transfer syntaxes instances are sent to it.

    Raises
    ------
    ValueError
        The URL is none of ``http:`` or ``https:``, or has a secret in it; or secrets would go over
        plain HTTP to another machine.
    """

    url: str = field()
    token: Secret | None = None
    user: str = ""
    password: Secret | None = None
    tls: ClientTls | None = None
    transfer: TransferPolicy = field(factory=TransferPolicy)

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.username or parts.password:
            raise ValueError(
                "dicomweb has a user in it: put that into dicomweb_user and dicomweb_password"
            )
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"dicomweb: write it as https://host/dicom-web, not {self.url!r:.80}")
        if bool(self.user) != (self.password is not None):
            raise ValueError("dicomweb_user and dicomweb_password go together")
        is_near = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if parts.scheme == "http" and not is_near and (self.token or self.password):
            raise ValueError("secrets are sent by https: only")


def check_ae_title(value: str) -> None:
    """Check an AE title (PS3.5 Table 6.2-1).

    Raises
    ------
    ValueError
        It is empty, longer than 16 characters, or has characters that are not allowed. Spaces
        at either end are not significant, so that a title with some could never be told apart.
    """
    if not 1 <= len(value) <= 16 or not value.isascii() or not value.isprintable():
        raise ValueError(f"an AE title has 1 to 16 printable ASCII characters, not {value!r}")
    if value != value.strip():
        raise ValueError(f"an AE title neither begins nor ends with a space: {value!r}")
    if "\\" in value:
        raise ValueError(f"an AE title has no backslash: {value!r}")
