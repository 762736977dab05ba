"""TLS contexts from a vault instead of the configuration, and principals from certificates.

The vault is a folder here: a file of its own for each certificate with its key, ``node.pem`` and
``ca.pem``.
"""

from pathlib import Path
from ssl import SSLContext

from attrs import evolve, field, frozen

from pacs_core.api.tls import make_context
from pacs_core.contracts import (
    RELOADABLE,
    Access,
    AccessDescriptor,
    Allow,
    Authenticated,
    Authenticator,
    Authorizer,
    CapabilityDescriptor,
    ClientTls,
    Deny,
    Node,
    Origin,
    Principal,
    ServerTls,
    Setup,
    TlsConfigError,
    TlsContexts,
    Verdict,
)
from pacs_core.plugins import hookimpl
from pacs_core.upper_layer import AssociateRQ


@frozen
class Config:
    """The table ``[plugin.certificates]``."""

    vault: Path
    trusted: tuple[str, ...] = field(default=(), metadata=RELOADABLE)


@hookimpl
def pacs_config() -> type:
    """Return the class of the table."""
    return Config


@hookimpl
def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
    """Return the contexts, which the kernel takes instead of its own."""
    vault = setup.config(Config).vault
    return [CapabilityDescriptor("vault", TlsContexts, lambda node: VaultContexts(vault))]


@hookimpl
def pacs_access(setup: Setup) -> list[AccessDescriptor]:
    """Return who knows principals by their certificates, and who lets only these do anything."""
    config = setup.config(Config)
    return [
        AccessDescriptor(
            "certificates",
            authenticator=lambda node: CertificatePrincipals(),
            authorizer=lambda node: TrustedOnly(node, config),
        )
    ]


class VaultContexts(TlsContexts):
    """Makes contexts of what is in the vault, with the profile that is configured."""

    def __init__(self, vault: Path) -> None:
        self._vault = vault
        self._kept: dict[ServerTls | ClientTls, SSLContext] = {}

    async def start(self) -> None:
        """See base."""
        if not self._vault.is_dir():
            raise TlsConfigError(f"{self._vault}: there is no vault")

    def server_context(self, settings: ServerTls) -> SSLContext:
        """See base."""
        return self._context(settings)

    def client_context(self, settings: ClientTls) -> SSLContext:
        """See base."""
        return self._context(settings)

    def _context(self, settings: ServerTls | ClientTls) -> SSLContext:
        if settings not in self._kept:
            certificate, ca = self._vault / "node.pem", self._vault / "ca.pem"
            own = evolve(settings, certificate=certificate, key=None, ca=ca)
            self._kept[settings] = make_context(own)
        return self._kept[settings]


class CertificatePrincipals(Authenticator):
    """Names the principal as the certificate does."""

    async def authenticate(self, request: AssociateRQ, origin: Origin) -> Authenticated | None:
        """See base."""
        if origin.tls is None or origin.tls.certificate is None:
            return None
        certificate = origin.tls.certificate
        claims = {"issuer": certificate.issuer, "names": " ".join(certificate.names)}
        return Authenticated(Principal(certificate.common_name, method="tls", claims=claims))


class TrustedOnly(Authorizer):
    """Lets nobody do anything whose name is not on the list."""

    def __init__(self, node: Node, config: Config) -> None:
        self._node = node
        self._trusted = config.trusted

    async def reconfigure(self, setup: Setup) -> None:
        """Take another list."""
        self._trusted = setup.config(Config).trusted

    async def authorize(self, access: Access) -> Verdict:
        """See base."""
        name = access.origin.user
        return Allow() if name in self._trusted else Deny(f"{name or 'nobody'} is not trusted")
