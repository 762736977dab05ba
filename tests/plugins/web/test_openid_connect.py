"""Sign-in by OpenID Connect, with a provider that runs here: people, machines, DIMSE peers."""

import hmac
import json
import re
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode

import anyio
import httpx
import pytest
from joserfc import jwe, jws
from joserfc.jwk import RSAKey
from pacs_auth_oidc.testing import run_provider
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from pacs_core.association import AssociationOptions, AssociationRefusedError, Proposal, connect
from pacs_core.testing.waiting import until
from pacs_core.upper_layer import (
    NO_REASON_GIVEN,
    AssociateRJ,
    UserIdentity,
    UserIdentityType,
)

from .conftest import run_web, wait_for

PLUGINS = ("auth-local", "auth-oidc", "web-ui", "dicomweb", "sop-query-retrieve")
STUDIES = "/dicom-web/studies"


@pytest.fixture(scope="module")
def provider():
    with run_provider() as running:
        running.claims |= {"groups": ["radiology"]}
        running.extras = {"x5c": [b64encode(bytes(2000)).decode()] * 3}  # as Keycloak has it
        yield running


@pytest.fixture(scope="module")
def web(provider, tmp_path_factory):
    table = {
        "issuer": provider.issuer, "client_id": "pacs", "roles_claim": "groups",
        "roles": {"radiology": "physicians"},
    }  # fmt: skip
    plugin = {"web": {"port": 0}, "auth-oidc": table}
    folder = tmp_path_factory.mktemp("oidc")
    with run_web(folder, plugins=PLUGINS, plugin=plugin, node={"port": 0}) as running:
        yield running


def begin(client, target="/ui/?q=x"):
    """Go to the provider, and return where that leads back to."""
    away = client.get("/auth/oidc/login", params={"next": target})
    assert away.status_code == 303
    return httpx.get(away.headers["location"]).headers["location"]


def test_people_sign_in_with_a_code(web, provider):
    html = {"accept": "text/html"}
    assert web.get("/ui/", headers=html).headers["location"].startswith("/auth/login?next=")
    page = web.get("/auth/login?next=/ui/%3Fq%3Dx").text
    assert 'href="/auth/oidc/login?next=/ui/%3Fq%3Dx"' in page
    with web.client() as client:
        back = begin(client)
        done = client.get(back)
        assert (done.status_code, done.headers["location"]) == (303, "/ui/?q=x")
        assert client.get(STUDIES).status_code == 200
        account = client.get("/auth/").text
        assert "carol" in account
        assert "physicians" in account
        assert client.get(back).status_code == 403  # the answer counts once
        kept, form = dict(client.cookies), re.search('name="csrf" value="([^"]+)"', account)
        left = client.post("/auth/logout", data={"csrf": form[1]}, headers={"origin": web.url})
        assert left.status_code == 303
    assert web.get(STUDIES, cookies=kept).status_code == 401  # a copy of the cookie
    replayed = httpx.get(back)  # by somebody else
    assert replayed.status_code == 403
    trail = web.node.data_directory / "audit" / "audit.jsonl"
    until(lambda: "auth-local.login" in trail.read_text())  # events gather before they are written
    lines = trail.read_text().splitlines()
    login = [json.loads(line) for line in lines if "auth-local.login" in line][-1]
    assert (login["user"], login["details"]["method"]) == ("carol", "oidc")


def test_answers_to_nothing_that_was_asked(web, provider):
    with web.client() as client, web.client() as other:
        mine, theirs = begin(client), begin(other)
        assert client.get(theirs).status_code == 403  # somebody else's code, planted
        code = mine.partition("?")[2].partition("&")[0]
        state = httpx.URL(mine).params["state"]
        for query in (
            "", code, f"{code}&state=", f"{code}&state=%C3%A9", "state=x&error=<script>",
            f"state={state}&error=<script>access_denied",
        ):  # fmt: skip
            page = {"accept": "text/html"}
            answer = client.get(f"/auth/oidc/callback?{query}", headers=page)
            assert (answer.status_code, "That did not work" in answer.text) == (403, True)
            assert "<script>" not in answer.text
        assert client.get(mine + "&iss=https://evil.example").status_code == 403
        assert client.get(STUDIES).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"preferred_username": None},
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in(web, provider, monkeypatch, change):
    monkeypatch.setattr(provider, "forged", change)
    with web.client() as client:
        assert client.get(begin(client)).status_code == 403
        assert client.get(STUDIES).status_code == 401


def test_a_code_is_of_use_to_who_asked_for_it_only(web, provider):
    with web.client() as client:
        back = httpx.URL(begin(client))
        guessed = back.copy_set_param("code", "guessed")
        assert client.get(guessed).status_code == 502
        provider.codes[back.params["code"]]["code_challenge"] = "of somebody else"
        assert client.get(back).status_code == 502


def test_cookies_that_are_none_of_ours(web):
    partial = urlsafe_b64encode(b'{"state":1}').decode()
    for said in ("x", "e30=", "W10=", "bnVsbA==", "W1tbW1s=", partial):
        answer = web.get("/auth/oidc/callback?state=x&code=y", cookies={"pacs_oidc": said})
        assert answer.status_code == 403


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_nobody_is_led_to_another_site(web, target):
    with web.client() as client:
        assert client.get(begin(client, target)).headers["location"] == "/"


def forge(provider, header=None, payload=None, key=None):
    """Return a token with another header, or another content, and a signature that is right."""
    header = {"alg": "RS256", "kid": provider.key.kid} | (header or {})
    said = provider.token().split(".")[1]
    payload = payload or urlsafe_b64decode(said + "===")
    registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    registry.max_header_length = 1 << 20
    return jws.serialize_compact(header, payload, key or provider.key, registry=registry)


def confuse(provider):
    """Return a token of HS256, whose secret is the public key (RFC 8725 §2.1)."""
    header = {"alg": "HS256", "kid": provider.key.kid}
    parts = [json.dumps(header).encode(), urlsafe_b64decode(provider.token().split(".")[1] + "===")]
    parts = [urlsafe_b64encode(each).rstrip(b"=") for each in parts]
    mac = hmac.digest(provider.key.as_pem(private=False), b".".join(parts), "sha256")
    return b".".join((*parts, urlsafe_b64encode(mac).rstrip(b"="))).decode()


def deep(depth):
    """Return the segment of a token that is nothing but JSON in JSON."""
    return urlsafe_b64encode(b'{"alg":' * depth + b"1" + b"}" * depth).rstrip(b"=").decode()


HOSTILE = {
    "expired": lambda p: p.token(exp=1),
    "never expires": lambda p: p.token(exp=None),
    "not yet": lambda p: p.token(nbf=1 << 40),
    "other audience": lambda p: p.token(aud="other"),
    "no audience": lambda p: p.token(aud=None),
    "other issuer": lambda p: p.token(iss="other"),
    "issuer of which ours is a part": lambda p: p.token(iss=[p.issuer, "x"]),
    "NUL in the name": lambda p: p.token(preferred_username="carol\0"),
    "64 KB of name": lambda p: p.token(preferred_username="x" * 9_000),
    "changed": lambda p: p.token()[:-8] + "AAAAAAAA",
    "unsigned": lambda p: "eyJhbGciOiJub25lIn0.e30.",
    "unsigned with a signature": lambda p: "eyJhbGciOiJub25lIn0.e30.AAAA",
    "signed by the public key": confuse,
    "another token within": lambda p: forge(p, {"cty": "JWT"}, p.token().encode()),
    "another token within, not said": lambda p: forge(p, {}, p.token().encode()),
    "encrypted": lambda p: jwe.encrypt_compact(
        {"alg": "RSA-OAEP", "enc": "A128GCM", "cty": "JWT"}, b"x" * 50, p.key
    ),
    "key named as a path": lambda p: forge(p, {"kid": "../../../../dev/null"}),
    "key named as an address": lambda p: forge(p, {"kid": f"{p.issuer}/evil"}),
    "key named with a NUL": lambda p: forge(p, {"kid": "first\0"}),
    "key by its address": lambda p: forge(p, {"jku": f"{p.issuer}/evil"}, key=STRANGER),
    "key of its own": lambda p: forge(p, {"jwk": STRANGER.as_dict(private=False)}, key=STRANGER),
    "certificate of its own": lambda p: forge(p, {"x5c": ["AAAA"]}, key=STRANGER),
    "extension that must be known": lambda p: forge(p, {"crit": ["b64"], "b64": False}),
    "header too long": lambda p: forge(p, {"x": "y" * 7_000}),
    "JSON in JSON": lambda p: f"{deep(900)}.{deep(900)}.AAAA",
    "long": lambda p: f"eyJhbGciOiJub25lIn0.{'e' * 15_000}.AAAA",
}
"""Tokens that are none, by what is wrong with them (RFC 8725)."""
STRANGER = RSAKey.generate_key(2048, {"kid": "first"})


def test_machines_have_bearer_tokens(web, provider):
    assert ask(web, provider.token()) == 200
    assert ask(web, forge(provider, {"typ": "at+jwt", "x5c": ["A" * 1500]})) == 200
    asked = len(provider.asked)
    for wrong, make in HOSTILE.items():
        token = make(provider)
        answer = web.get(STUDIES, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 401, wrong
        assert 'error="invalid_token"' in answer.headers["www-authenticate"], wrong
        assert token not in web.log, wrong
    assert web.get(STUDIES).status_code == 401
    too_long = web.get(STUDIES, headers={"authorization": f"Bearer {'x' * 100_000}"})
    assert too_long.status_code in (400, 431)
    assert "/evil" not in provider.asked
    assert len(provider.asked) - asked <= 2  # keys are asked for again once
    assert web.is_healthy()
    assert "Traceback" not in web.log
    wait_for(lambda: '127.0.0.1 carol "GET /dicom-web/studies" 200' in web.log, "who is not logged")


def associate(web, token, kind=UserIdentityType.JWT):
    """Associate; return the A-ASSOCIATE-RJ, or None."""
    identity = UserIdentity(kind, kind is UserIdentityType.JWT, token.encode())
    options = AssociationOptions(user_identity=identity)

    async def call():
        try:
            async with connect(web.node.peer, [Proposal("1.2.840.10008.1.1")], options=options):
                return None
        except AssociationRefusedError as error:
            return error.rejection

    return anyio.run(call)


def test_dimse_peers_have_tokens(web, provider):
    """User identity of type 5 (PS3.7 D.3.3.7.1)."""
    trail = web.node.data_directory / "audit" / "audit.jsonl"
    assert associate(web, provider.token()) is None
    # What the provider cannot vouch for, whether a response is asked for or not.
    for kind in set(UserIdentityType) - {UserIdentityType.JWT}:
        assert associate(web, "carol", kind) == NO_REASON_GIVEN
    reasons = ("nothing here knows such a user identity", "a Kerberos", "a SAML")
    wait_for(lambda: all(each in trail.read_text() for each in reasons), "what is not audited")
    assert "nothing here knows such a user identity" in web.log
    for wrong, make in HOSTILE.items():
        assert associate(web, make(provider)) == NO_REASON_GIVEN, wrong
    assert associate(web, "") == NO_REASON_GIVEN
    assert associate(web, "x" * 60_000) == NO_REASON_GIVEN

    def accepted():
        lines = trail.read_text().splitlines()
        return [json.loads(line)["user"] for line in lines if '"association-accepted"' in line]

    wait_for(accepted, "it is not recorded")
    assert accepted() == ["carol"]


def test_the_response_to_a_token_is_a_token(web, provider):
    """PS3.7 Table D.3-15, if a positive response is asked for."""
    ae, identity, token = AE(), UserIdentityNegotiation(), provider.token().encode()
    ae.add_requested_context("1.2.840.10008.1.1")
    identity.user_identity_type, identity.primary_field = 5, token
    identity.positive_response_requested = True
    association = ae.associate("127.0.0.1", web.node.port, ext_neg=[identity])
    assert association.is_established
    said = association.acceptor.user_identity.server_response
    association.release()
    assert said == token


def ask(web, token):
    return web.get(STUDIES, headers={"authorization": f"Bearer {token}"}).status_code


def run_with(own, folder, **more):
    table = {"issuer": own.issuer, "client_id": "pacs", **more}
    return run_web(folder, plugins=PLUGINS, plugin={"web": {"port": 0}, "auth-oidc": table})


def test_unknown_keys_let_nobody_be_asked_again_and_again(web, provider):
    asked = len(provider.asked)
    for number in range(20):
        assert ask(web, forge(provider, {"kid": f"unknown {number}"})) == 401
    assert len(provider.asked) - asked <= 4  # once, or twice if that takes half a minute
    assert ask(web, provider.token()) == 200


def test_a_provider_whose_keys_change_and_that_falls_ill(tmp_path):
    """It is not needed to start, and left alone for a while when it fails."""
    with run_provider() as own, run_with(own, tmp_path, keys_for=0.5) as web:
        assert own.asked == []
        assert ask(web, own.token()) == 200
        own.rotate("second")
        wait_for(lambda: ask(web, own.token()) == 200, "new keys are not taken")
        own.is_broken = True
        wait_for(lambda: ask(web, own.token()) == 503, "old keys are still taken")
        own.is_broken, asked = False, len(own.asked)
        refused = web.get(STUDIES, headers={"authorization": f"Bearer {own.token()}"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        assert associate(web, own.token()) == AssociateRJ(2, 1, 1)  # for now
        assert len(own.asked) == asked
        assert web.is_healthy()
