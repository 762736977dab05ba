"""TLS: its settings, what is known of a secured connection, and where contexts come from.

The profiles are the Secure Transport Connection Profiles of PS3.15 B.12 and B.13.
"""

from abc import ABC, abstractmethod
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.reloading import RELOADABLE
from pacs_core.contracts.secret import Secret

if TYPE_CHECKING:
    from ssl import SSLContext


class TlsError(Exception):
    """A secured connection did not come about, or broke.

    Attributes
    ----------
    code : str
        What it was, in a word: ``"expired"``, ``"not-yet-valid"``, ``"unknown-ca"``,
        ``"self-signed"``, ``"wrong-host"``, ``"no-certificate"``, ``"no-tls"``, ``"version"``,
        ``"cipher-suite"``, ``"too-weak"``, ``"wrong-purpose"``, ``"renegotiation"``,
        ``"timeout"``, ``"closed"``, ``"refused-by-peer"``, ``"bad-certificate"``, ``"protocol"``.
    """

    def __init__(self, message: str, code: str = "protocol") -> None:
        super().__init__(message)
        self.code = code


class TlsConfigError(Exception):
    """A certificate, key or CA cannot be used; the message says which file, and why."""


class TlsProfile(Enum):
    """Which versions and cipher suites are used.

    All are TLS 1.2 and 1.3 only (RFC 8996), without renegotiation and compression (RFC 9325).
    """

    BCP195 = "bcp195"
    """BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12)."""
    BCP195_MODIFIED = "bcp195-modified"
    """Modified BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.13)."""
    CUSTOM = "custom"
    """The suites that `ciphers` names."""

    @property
    def title(self) -> str:
        """What a conformance statement says of it."""
        return _TITLES[self]


_TITLES: Final = {
    TlsProfile.BCP195: "the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile "
    "(PS3.15 B.12)",
    TlsProfile.BCP195_MODIFIED: "the Modified BCP 195 RFC 8996, 9325 TLS Secure Transport "
    "Connection Profile (PS3.15 B.13), without the cipher suites of TLS 1.3 with AES-CCM",
    TlsProfile.CUSTOM: "TLS 1.2 and 1.3 with cipher suites that the site has chosen",
}


class PeerCertificates(Enum):
    """What is asked of those who connect."""

    REQUIRED = "required"
    """A certificate that `ca` vouches for."""
    OPTIONAL = "optional"
    """None, or one that `ca` vouches for."""
    IGNORED = "ignored"
    """Nothing: no certificate is asked for."""


@frozen
class TlsSettings:
    """What both ends of a secured connection may have.

    Attributes
    ----------
    profile : TlsProfile
    ciphers : str
        With the profile ``"custom"``: cipher suites of TLS 1.2, as OpenSSL names them, with colons
        between.
    """

    profile: TlsProfile = field(default=TlsProfile.BCP195, metadata=RELOADABLE, kw_only=True)
    ciphers: str = field(default="", metadata=RELOADABLE, kw_only=True)

    @ciphers.validator
    def _check_ciphers(self, _attribute: object, value: str) -> None:
        profile = getattr(self, "profile", None)
        if profile is TlsProfile.CUSTOM and not value:
            raise ValueError('profile = "custom": say which cipher suites, with ciphers')
        if value and profile not in (None, TlsProfile.CUSTOM):
            raise ValueError(f'ciphers are those of the profile, unless it is "custom": {value!r}')


@frozen
class ServerTls(TlsSettings):
    """How connections are accepted: a table such as ``[network.tls]``.

    Attributes
    ----------
    certificate : Path
        PEM: the certificate, then those of intermediate CAs.
    key : Secret or None
        PEM: the private key; None if it is in the file of the certificate.
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
    """

    certificate: Path = field(metadata=RELOADABLE)
    key: Secret | None = field(default=None, metadata=RELOADABLE)
    passphrase: Secret | None = field(default=None, metadata=RELOADABLE)
    ca: Path | None = field(default=None, metadata=RELOADABLE)
    peers: PeerCertificates = field(default=PeerCertificates.REQUIRED, metadata=RELOADABLE)

    def __attrs_post_init__(self) -> None:
        if self.ca is None and self.peers is not PeerCertificates.IGNORED:
            raise ValueError(
                f'peers = "{self.peers.value}": name with ca who vouches for them, or say "ignored"'
            )


@frozen
class ClientTls(TlsSettings):
    """How connections are made to a peer: a table such as ``[peers.NAME.tls]``.

    Attributes
    ----------
    ca : Path or None
        PEM: CAs that vouch for the peer, or its own certificate; None for the system's CAs.
    certificate : Path or None
        PEM: what this side shows, then the certificates of intermediate CAs.
    key : Secret or None
        PEM: the private key; None if it is in the file of the certificate.
    passphrase : Secret or None
        Of the key.
    check_hostname : bool
        Whether the peer's certificate must name its host.
    profile : TlsProfile
        ``"bcp195"`` (PS3.15 B.12), ``"bcp195-modified"`` (PS3.15 B.13) or ``"custom"``.
    ciphers : str
        With ``"custom"``: cipher suites of TLS 1.2, as OpenSSL names them, with colons between.
    """

    ca: Path | None = field(default=None, metadata=RELOADABLE)
    certificate: Path | None = field(default=None, metadata=RELOADABLE)
    key: Secret | None = field(default=None, metadata=RELOADABLE)
    passphrase: Secret | None = field(default=None, metadata=RELOADABLE)
    check_hostname: bool = field(default=True, metadata=RELOADABLE)

    def __attrs_post_init__(self) -> None:
        if self.key is not None and self.certificate is None:
            raise ValueError("there is a key without a certificate")


@frozen
class Certificate:
    """An X.509 certificate, in text.

    Attributes
    ----------
    subject, issuer : str
        Such as ``"O=Hospital, CN=ct1"``.
    common_name : str
        Of the subject; empty if it has none.
    names : tuple of str
        Subject alternative names, such as ``"DNS:ct1.hospital.example"``.
    serial_number : str
        Hexadecimal.
    not_before, not_after : datetime
        With time zone.
    fingerprint : str
        SHA-256 of the whole certificate, hexadecimal; empty if it is not known.
    """

    subject: str
    issuer: str
    common_name: str
    names: tuple[str, ...]
    serial_number: str
    not_before: datetime
    not_after: datetime
    fingerprint: str = ""


@frozen
class TlsInfo:
    """What is known of a secured connection.

    Attributes
    ----------
    version : str
        ``"TLSv1.2"`` or ``"TLSv1.3"``.
    cipher_suite : str
        As OpenSSL names it.
    certificate : Certificate or None
        What the peer has shown, if it was asked; a CA that is trusted vouches for it.
    """

    version: str
    cipher_suite: str
    certificate: Certificate | None = None


class TlsContexts(Component, ABC):
    """Where TLS contexts come from: files that the configuration names, unless a plugin has others.

    A plugin provides them as a capability with this interface; then the kernel takes all contexts
    from it, and so does `Node.tls`.

    Contexts are asked for with each connection: keep them. A context that was given out is not
    changed, so that connections that it secures go on; new certificates come in a new one. The
    profile of the settings is to be kept whatever the certificates are, and sessions are not to be
    resumed, so that every handshake checks certificates.
    """

    @abstractmethod
    def server_context(self, settings: ServerTls) -> "SSLContext":
        """Return the context to accept connections with.

        Raises
        ------
        TlsConfigError
            There is none: say what is wrong, and with which file.
        """

    @abstractmethod
    def client_context(self, settings: ClientTls) -> "SSLContext":
        """Return the context to connect with.

        Raises
        ------
        TlsConfigError
            There is none.
        """


class NoTlsContexts(TlsContexts):
    """Of a node that was made without any."""

    def server_context(self, settings: ServerTls) -> "SSLContext":
        """Refuse."""
        raise TlsConfigError("this node was made without TLS contexts")

    def client_context(self, settings: ClientTls) -> "SSLContext":
        """Refuse."""
        raise TlsConfigError("this node was made without TLS contexts")
