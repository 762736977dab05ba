"""The table ``[plugin.auth-local]``."""

import ipaddress
from collections.abc import Iterator
from typing import Final, Literal

from attrs import field, frozen
from attrs.validators import ge, gt

from pacs_core.contracts import RELOADABLE

DAY: Final = 24 * 3600


def _plain_hexadecimal(text: str) -> str:
    """Return a fingerprint without the colons that OpenSSL writes."""
    return text.replace(":", "").lower()


@frozen
class Lockout:
    """What happens to those who guess.

    Attributes
    ----------
    per_name : int
        Failures with a name until it has to wait.
    per_address : int
        Failures from an address until it has to wait.
    longest : float
        Seconds. The first wait is one, each further failure doubles it up to this; after as long
        without a failure all are forgotten.
    """

    per_name: int = field(default=5, validator=ge(1))
    per_address: int = field(default=20, validator=ge(1))
    longest: float = field(default=900.0, validator=gt(0.0))


@frozen
class CertificateRule:
    """Who shows a TLS certificate, which the CA of the listener vouches for.

    Attributes
    ----------
    name : str
        Of the principal.
    subject : str
        Of the certificate: ``"O=Hospital, CN=ct1"``.
    san : str
        One of its subject alternative names: ``"DNS:ct1.hospital.example"``.
    fingerprint : str
        SHA-256 of the certificate, hexadecimal. Whatever of the three is given must match.
    roles : tuple of str
    ae_titles : tuple of str
        Calling AE titles that it may use; empty for any.
    """

    name: str
    subject: str = ""
    san: str = ""
    fingerprint: str = field(default="", converter=_plain_hexadecimal)
    roles: tuple[str, ...] = ()
    ae_titles: tuple[str, ...] = ()


@frozen
class AETitleRule:
    """An AE title, and from where it may come.

    Attributes
    ----------
    title : str
    networks : tuple of str
        Addresses and networks: ``"192.0.2.7"``, ``"192.0.2.0/24"``, ``"2001:db8::/64"``.
    name : str
        Of the principal; the AE title if empty.
    roles : tuple of str
    """

    title: str
    networks: tuple[str, ...]
    name: str = ""
    roles: tuple[str, ...] = ()


@frozen
class AuthLocalConfig:
    """Who may come, and how they show who they are.

    Attributes
    ----------
    anonymous : ``"auto"``, ``"allowed"`` or ``"refused"``
        Whether those may come who do not say who they are. ``"auto"``: over DIMSE, and over HTTP
        as long as there is no user and no token.
    trust_usernames : bool
        Whether a user identity without a passcode (type 1 of PS3.7 D.3.3.7) is believed.
    unbound_ae_titles : bool
        Whether AE titles may associate that no table of `ae` is about.
    idle : float
        Seconds without a request after which a session ends.
    absolute : float
        Seconds after which it ends in any case.
    lockout : Lockout
    ae : tuple of AETitleRule
        AE titles bound to addresses.
    certificate : tuple of CertificateRule
        Who shows which TLS certificate; the first that matches counts.
    """

    anonymous: Literal["auto", "allowed", "refused"] = field(default="auto", metadata=RELOADABLE)
    trust_usernames: bool = field(default=False, metadata=RELOADABLE)
    unbound_ae_titles: bool = field(default=True, metadata=RELOADABLE)
    idle: float = field(default=1800.0, validator=gt(0.0), metadata=RELOADABLE)
    absolute: float = field(default=12 * 3600.0, validator=gt(0.0), metadata=RELOADABLE)
    lockout: Lockout = field(factory=Lockout, metadata=RELOADABLE)
    ae: tuple[AETitleRule, ...] = field(default=(), metadata=RELOADABLE)
    certificate: tuple[CertificateRule, ...] = field(default=(), metadata=RELOADABLE)

    def problems(self) -> Iterator[str]:
        """Iterate over what is wrong beyond types."""
        titles = [rule.title for rule in self.ae]
        for title in {title for title in titles if titles.count(title) > 1}:
            yield f"ae: {title!r} has two tables: name all its networks in one"
        for rule in self.ae:
            if not 1 <= len(rule.title.strip()) <= 16:
                yield f"ae: {rule.title!r} is no AE title: it has 1 to 16 characters"
            if not rule.networks:
                yield f"ae: {rule.title!r} may come from nowhere: name its networks"
            for network in rule.networks:
                try:
                    ipaddress.ip_network(network)
                except ValueError as error:
                    yield f"ae: {rule.title!r}: {error}"
        for each in self.certificate:
            if not (each.subject or each.san or each.fingerprint):
                yield f"certificate: {each.name!r}: say which, by subject, san or fingerprint"
            if not each.name:
                yield "certificate: one has no name"
