"""Verification of JSON web tokens (RFC 7519, RFC 8725): pure, with the provider's keys given.

Theory of operation
-------------------
What a token says of itself chooses nothing: its algorithm must be among those of the configuration,
which are asymmetric; its ``kid`` is looked up among the provider's keys and is no name of anything
else; keys or addresses of keys in its header are not looked at. A token within a token, an
encrypted one, and one with extensions that must be understood (``crit``) are refused, and so is one
that is bound to a key of its sender (``cnf``, RFC 7800), of which nothing is proven here.

Certificates that a header or a key of the provider carries (``x5c``) are let pass and not looked
at: keys are trusted because they come from the provider, over TLS.
"""

import re
from collections.abc import Iterable, Mapping
from time import time
from typing import Any, Final

from attrs import frozen
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from pacs_auth_oidc.config import OidcConfig
from pacs_core.contracts import Principal

LONGEST: Final = 16 * 1024
_LONGEST_HEADER: Final = 8 * 1024
"""Characters of a header; some providers put a chain of certificates there."""
_LEAST_MODULUS: Final = 342
"""Characters of the modulus of an RSA key of 2048 bits, the least that is safe (RFC 7518 §3.3)."""
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_NAME: Final = 255
_MOST_ROLES: Final = 200

Key = RSAKey | ECKey | OKPKey


class TokenError(Exception):
    """A token is not taken; the message is for log and peer, and has nothing of the token."""


class UnknownKeyError(TokenError):
    """A token is signed with a key that the provider may have since the keys were fetched."""


@frozen
class Claims:
    """What a verified token says."""

    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a claim that is text; empty if it is missing or something else."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""


class Signatures(jws.JWSRegistry):
    """Signatures that are taken.

    Parameters
    ----------
    algorithms : iterable of str
        Their names in headers.
    """

    max_header_length = _LONGEST_HEADER
    max_signature_length = 2048  # of a key of 8192 bits, and more

    def __init__(self, algorithms: Iterable[str]) -> None:
        super().__init__(algorithms=frozenset(algorithms), strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Return an algorithm by the name that a header says.

        EdDSA is deprecated because it leaves the curve open (RFC 9864 §2.2), which joserfc warns
        of. Here the provider's key says it, so that old and new name are as good.
        """
        if name == "EdDSA" and name in (self.allowed or ()):
            return self.algorithms[name]
        return super().get_alg(name)


def usable_keys(document: object) -> Mapping[str, Key]:
    """Return the keys of a JSON web key set (RFC 7517 §5) that can verify, by their ID.

    Keys of other kinds, shared secrets among them, those for encryption and those that are too
    short are passed over.
    """
    given = document.get("keys") if isinstance(document, dict) else None
    keys: dict[str, Key] = {}
    for each in given if isinstance(given, list) else ():
        is_signing = isinstance(each, dict) and each.get("use", "sig") == "sig"
        if not is_signing or each.get("kty") not in {"RSA", "EC", "OKP"}:
            continue
        if each["kty"] == "RSA" and len(str(each.get("n"))) < _LEAST_MODULUS:
            continue
        try:
            key = KeySet.import_key_set({"keys": [each]}).keys[0]
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, Key):
            keys[str(each.get("kid", ""))] = key
    return keys


def is_token(text: str) -> bool:
    """Tell whether a text has the form of a signed token."""
    return len(text) <= LONGEST and _FORM.fullmatch(text) is not None


def verify(
    token: str, keys: Mapping[str, Key], config: OidcConfig, audiences: frozenset[str]
) -> Claims:
    """Return what a token says.

    Parameters
    ----------
    token : str
    keys : mapping of str to Key
        Of the provider.
    config : OidcConfig
    audiences : frozenset of str
        Of which the token must name one.

    Raises
    ------
    TokenError
        It is not to be believed.
    """
    if not is_token(token):
        raise TokenError("it has not the form of a signed JSON web token, or is too long")
    registry = Signatures(config.algorithms)
    try:
        header = jws.extract_compact(token.encode(), registry=registry).headers()
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise TokenError("its header cannot be read") from error
    if header.get("alg") not in config.algorithms:
        raise TokenError("its algorithm is not among those of the configuration")
    if "crit" in header or str(header.get("cty", "")).upper().endswith("JWT"):
        raise TokenError("it has extensions, or another token within")
    key = _find_key(header.get("kid"), keys)
    try:
        decoded = jwt.decode(token, key, registry=registry)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise TokenError("its signature is wrong") from error
    claims = Claims(decoded.claims)
    _check(claims, config, audiences)
    return claims


def _find_key(kid: object, keys: Mapping[str, Key]) -> Key:
    if kid is None and len(keys) == 1:
        return next(iter(keys.values()))
    if not isinstance(kid, str) or len(kid) > _LONGEST_NAME:
        raise TokenError("it does not say by which key it is signed")
    if kid not in keys:
        raise UnknownKeyError("the provider has no such key")
    return keys[kid]


def _check(claims: Claims, config: OidcConfig, audiences: frozenset[str]) -> None:
    values, now = claims.values, time()
    if values.get("iss") != config.issuer:
        raise TokenError("it is of another issuer")
    named = values.get("aud")
    if not audiences & set(_texts([named] if isinstance(named, str) else named)):
        raise TokenError("it is for another audience")
    expires = _number(values.get("exp"))
    if expires is None or expires + config.leeway <= now:
        raise TokenError("it has expired, or never does")
    for name in ("nbf", "iat"):
        begins = _number(values.get(name, 0))
        if begins is None or begins - config.leeway > now:
            raise TokenError("it is not valid yet")
    if "cnf" in values:
        raise TokenError("it is bound to a key of its sender, which is not proven here")


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def principal_of(claims: Claims, config: OidcConfig, method: str) -> Principal:
    """Return who a verified token is about.

    Raises
    ------
    TokenError
        It gives no name that can be one.
    """
    name = claims.text(config.name_claim)
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise TokenError(f"its claim {config.name_claim} is no name")
    value: Any = claims.values
    for member in config.roles_claim.split("."):
        value = value.get(member) if isinstance(value, dict) else None
    given = _texts(value.split() if isinstance(value, str) else value)[:_MOST_ROLES]
    if config.roles:
        given = [config.roles[each] for each in given if each in config.roles]
    about = {"iss": config.issuer, "sub": claims.text("sub")[:_LONGEST_NAME]}
    return Principal(name, frozenset(given), method, about)
