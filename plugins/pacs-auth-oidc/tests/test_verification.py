"""JSON web tokens: what is taken, and everything that is not (RFC 7519, RFC 8725)."""

import hmac
import json
import time
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from pacs_auth_oidc.config import OidcConfig
from pacs_auth_oidc.verification import (
    LONGEST,
    TokenError,
    UnknownKeyError,
    principal_of,
    usable_keys,
    verify,
)

ISSUER = "https://id.example/realm"
CONFIG = OidcConfig(ISSUER, "pacs", roles_claim="realm_access.roles")
AUDIENCES = frozenset({"pacs"})
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
OTHER = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-256", {"kid": "e1"})
KEYS = usable_keys({"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]})


def claims(**changes):
    now = int(time.time())
    values = {"iss": ISSUER, "aud": "pacs", "sub": "42", "exp": now + 300, "iat": now}
    values |= {"preferred_username": "anna", "realm_access": {"roles": ["nurse"]}, **changes}
    return {name: value for name, value in values.items() if value is not None}


def token(key=RSA, header=None, **changes):
    """Return a token signed by RS256, whatever its header says."""
    given = {"alg": "RS256", "kid": "r1", **(header or {})}
    given = {name: value for name, value in given.items() if value is not None}
    signed = f"{part(given)}.{part(claims(**changes))}"
    signature = key.private_key.sign(signed.encode(), PKCS1v15(), SHA256())
    return f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def part(value):
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_good_token_says_who_it_is():
    verified = verify(token(), KEYS, CONFIG, AUDIENCES)
    principal = principal_of(verified, CONFIG, "jwt")
    assert (principal.name, principal.roles, principal.method) == ("anna", {"nurse"}, "jwt")
    assert principal.claims["sub"] == "42"


def test_other_asymmetric_keys_and_several_audiences():
    made = jwt.encode({"alg": "ES256", "kid": "e1"}, claims(aud=["other", "pacs"]), EC)
    assert verify(made, KEYS, CONFIG, AUDIENCES).text("sub") == "42"


def test_the_only_key_needs_no_name():
    keys = usable_keys({"keys": [RSA.as_dict(private=False)]})
    assert verify(token(header={"kid": None}), keys, CONFIG, AUDIENCES)


def test_roles_are_translated_and_others_left_out():
    config = OidcConfig(ISSUER, "pacs", roles={"rad": "physician"})
    verified = verify(token(roles=["rad", "admin"]), KEYS, config, AUDIENCES)
    assert principal_of(verified, config, "jwt").roles == {"physician"}


def hs256_by_the_public_key():
    """RS256/HS256 confusion (RFC 8725 §2.1): the public key as a shared secret."""
    signed = f"{part({'alg': 'HS256', 'kid': 'r1'})}.{part(claims())}"
    mac = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def unsigned():
    return f"{part({'alg': 'none', 'kid': 'r1'})}.{part(claims())}."


def stripped():
    _, body, _ = token().split(".")
    return f"{part({'alg': 'none', 'kid': 'r1'})}.{body}.AAAA"


def changed():
    head, _, signature = token().split(".")
    return f"{head}.{part(claims(preferred_username='root'))}.{signature}"


@pytest.mark.parametrize(
    "made",
    [
        "",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "." * 3,
        "x" * (LONGEST + 1),
        unsigned(),
        stripped(),
        changed(),
        hs256_by_the_public_key(),
        token(OTHER),
        token(header={"kid": None}),
        token(header={"kid": ["r1"]}),
        token(header={"kid": "x" * 1000}),
        token(header={"cty": "JWT"}),
        token(header={"crit": ["exp"]}),
        token(header={"alg": "RS512"}),
        token(iss="https://evil.example"),
        token(iss=None),
        token(iss=f"{ISSUER}/"),
        token(aud="other"),
        token(aud=None),
        token(aud={"pacs": 1}),
        token(exp=int(time.time()) - 3600),
        token(exp=None),
        token(exp="never"),
        token(exp=True),
        token(nbf=int(time.time()) + 3600),
        token(iat=int(time.time()) + 3600),
        token(cnf={"jkt": "x"}),
    ],
)
def test_what_is_not_to_be_believed(made):
    with pytest.raises(TokenError) as caught:
        verify(made, KEYS, CONFIG, AUDIENCES)
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize(
    "kid", ["unknown", "../../etc/passwd", "https://evil.example/keys", "' OR 1=1", "\x00"]
)
def test_the_name_of_a_key_is_the_name_of_nothing_else(kid):
    with pytest.raises(UnknownKeyError, match="no such key"):
        verify(token(header={"kid": kid}), KEYS, CONFIG, AUDIENCES)


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": OTHER.as_dict(private=False)},
    ],
)
def test_keys_in_a_header_are_not_looked_at(header):
    with pytest.raises(TokenError, match=r"signature is wrong|header cannot be read"):
        verify(token(OTHER, header), KEYS, CONFIG, AUDIENCES)


def test_clocks_may_differ_a_little():
    now = int(time.time())
    assert verify(token(exp=now - 30, nbf=now + 30), KEYS, CONFIG, AUDIENCES)


@pytest.mark.parametrize("name", [None, "", 7, ["anna"], "a\nb", "x" * 300, "\x1b[31m"])
def test_who_has_no_name_is_nobody(name):
    verified = verify(token(preferred_username=name), KEYS, CONFIG, AUDIENCES)
    with pytest.raises(TokenError, match="is no name"):
        principal_of(verified, CONFIG, "jwt")


@pytest.mark.parametrize("roles", [None, "x", 7, {"roles": 1}, {"roles": [7, None]}, []])
def test_roles_that_are_none(roles):
    verified = verify(token(realm_access=roles), KEYS, CONFIG, AUDIENCES)
    assert principal_of(verified, CONFIG, "jwt").roles == frozenset()


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"keys": 1},
        {"keys": [None, 7, {}, {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "RSA", "n": "!"}]},
        {"keys": [{**RSA.as_dict(private=False), "use": "enc"}]},
    ],
)
def test_keys_that_cannot_verify_are_passed_over(document):
    assert usable_keys(document) == {}


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_nothing_else_comes_out_of_nonsense(text):
    for made in (text, f"{part({'alg': 'RS256', 'kid': 'r1'})}.{text}.AAAA", f"{text}.e30.AAAA"):
        with pytest.raises(TokenError):
            verify(made, KEYS, CONFIG, AUDIENCES)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "http://id.example"}, "over https"),
        ({"issuer": "https://me@id.example"}, "over https"),
        ({"client_id": ""}, "client_id"),
        ({"algorithms": ("RS256", "HS256")}, "'HS256' is none of"),
        ({"algorithms": ("none",)}, "'none' is none of"),
        ({"algorithms": ()}, "name one"),
    ],
)
def test_a_configuration_that_is_not_safe_is_refused(changes, said):
    values = {"issuer": ISSUER, "client_id": "pacs", **changes}
    assert any(said in problem for problem in OidcConfig(**values).problems())


# --- keys and headers as providers have them


def test_certificates_in_keys_and_headers_are_let_pass():
    """They are long, and nothing is concluded from them (RFC 7515 §4.1.6)."""
    chain = {"x5c": ["A" * 1500] * 3, "x5t#S256": "A" * 43}
    keys = usable_keys({"keys": [RSA.as_dict(private=False) | chain]})
    assert verify(token(header=chain), keys, CONFIG, AUDIENCES)
    with pytest.raises(TokenError, match="header cannot be read"):
        verify(token(header={"x5c": ["A" * 1500] * 6}), keys, CONFIG, AUDIENCES)


@pytest.mark.parametrize("segment", ["header", "payload"])
def test_json_in_json_in_json(segment):
    deep = urlsafe_b64encode(b'{"a":' * 2000 + b"1" + b"}" * 2000).decode().rstrip("=")
    made = [part({"alg": "RS256", "kid": "r1"}), part(claims()), "AAAA"]
    made[segment == "payload"] = deep if segment == "payload" else deep[:8000]
    with pytest.raises(TokenError):
        verify(".".join(made), KEYS, CONFIG, AUDIENCES)


@pytest.mark.parametrize("curve", ["Ed25519", "Ed448"])
def test_old_and_new_names_of_edwards_curves(curve):
    """The key says the curve that EdDSA leaves open; without a warning (RFC 9864 §2.2)."""
    key = OKPKey.generate_key(curve, {"kid": "o"})
    keys, config = usable_keys({"keys": [key.as_dict(private=False)]}), OidcConfig(ISSUER, "pacs")
    for name, is_taken in (("EdDSA", True), ("Ed25519", curve == "Ed25519"), ("Ed448", False)):
        signed = f"{part({'alg': name, 'kid': 'o'})}.{part(claims())}"
        signature = urlsafe_b64encode(key.private_key.sign(signed.encode())).rstrip(b"=")
        made = f"{signed}.{signature.decode()}"
        if is_taken:
            assert verify(made, keys, config, AUDIENCES)
        else:
            with pytest.raises(TokenError):
                verify(made, keys, config, AUDIENCES)


def test_a_key_signs_as_it_says_only():
    """RFC 8725 §3.1: the key's own algorithm, if it says one."""
    keys = usable_keys({"keys": [RSA.as_dict(private=False) | {"alg": "PS256"}]})
    with pytest.raises(TokenError, match="signature is wrong"):
        verify(token(), keys, CONFIG, AUDIENCES)


def test_one_key_that_cannot_be_used_leaves_the_others():
    short = RSA.as_dict(private=False) | {"kid": "short"}
    short["n"] = short["n"][:171]  # 1024 bits
    broken = EC.as_dict(private=False) | {"kid": "broken", "x": "AAAA"}
    assert list(usable_keys({"keys": [short, broken, RSA.as_dict(private=False)]})) == ["r1"]
