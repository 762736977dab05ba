"""Bindings of the configuration: peers by certificates, and AE titles at addresses."""

import ipaddress
from collections.abc import Sequence
from contextlib import suppress

from pacs_auth_local.config import AETitleRule, AuthLocalConfig, CertificateRule
from pacs_core.contracts import Certificate, Origin, Principal


class BindingError(Exception):
    """Somebody comes under an AE title that is not theirs; the message says so for the log."""


class Bindings:
    """The tables ``ae`` and ``certificate``.

    Parameters
    ----------
    config : AuthLocalConfig
    """

    def __init__(self, config: AuthLocalConfig) -> None:
        self._certificates = config.certificate
        self._allows_others = config.unbound_ae_titles
        self._titles = {rule.title.strip(): rule for rule in config.ae}
        self._networks = {
            rule.title.strip(): [ipaddress.ip_network(each) for each in rule.networks]
            for rule in config.ae
        }

    @property
    def has_some(self) -> bool:
        """Whether there are any."""
        return bool(self._titles or self._certificates)

    def find(self, origin: Origin) -> Principal | None:
        """Return who comes, by certificate or else by AE title and address.

        Raises
        ------
        BindingError
            The calling AE title may not come from this address, or with this certificate.
        """
        by_title = self._by_title(origin) if origin.calling_ae_title else None
        return self._by_certificate(origin) or by_title

    def _by_title(self, origin: Origin) -> Principal | None:
        title = origin.calling_ae_title
        rule = self._titles.get(title)
        if rule is None:
            if self._allows_others:
                return None
            raise BindingError(f"no table of ae is about {title!r}")
        if not _is_within(origin.host, self._networks[title]):
            raise BindingError(f"{title!r} may not come from {origin.host}: see its table of ae")
        return _principal(rule)

    def _by_certificate(self, origin: Origin) -> Principal | None:
        certificate = origin.tls.certificate if origin.tls else None
        if certificate is None:
            return None
        rule = next((each for each in self._certificates if _matches(each, certificate)), None)
        if rule is None:
            return None
        title = origin.calling_ae_title
        if title and rule.ae_titles and title not in rule.ae_titles:
            raise BindingError(f"the certificate of {rule.name!r} is not for {title!r}")
        claims = {"certificate": certificate.fingerprint}
        return Principal(rule.name, frozenset(rule.roles), "tls", claims)


def _principal(rule: AETitleRule) -> Principal:
    return Principal(rule.name or rule.title.strip(), frozenset(rule.roles), "ae-title")


def _matches(rule: CertificateRule, certificate: Certificate) -> bool:
    return (
        (not rule.subject or rule.subject == certificate.subject)
        and (not rule.san or rule.san in certificate.names)
        and (not rule.fingerprint or rule.fingerprint == certificate.fingerprint)
    )


def _is_within(
    host: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> bool:
    with suppress(ValueError):
        address = ipaddress.ip_address(host.partition("%")[0])
        # On a socket for both, IPv4 comes as ::ffff:192.0.2.7.
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in networks)
    return False
