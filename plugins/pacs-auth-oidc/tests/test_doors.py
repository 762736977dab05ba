"""People and machines of an identity provider, at both doors of a node."""

import json
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from attrs import define, field
from joserfc import jwt
from joserfc.jwk import RSAKey
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification

from pacs_core.testing.node import node_thread
from pacs_core.testing.waiting import until

PLUGINS = (
    "web",
    "web-ui",
    "dicomweb",
    "auth-local",
    "auth-oidc",
    "store-filesystem",
    "index-sqlite",
    "audit-json",
    "sop-verification",
)


@define
class Provider:
    """An identity provider on the loopback interface, with one person who is signed in there."""

    url: str = ""
    key: RSAKey = field(factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    codes: dict = field(factory=dict)
    asked: list = field(factory=list)
    broken: dict = field(factory=dict)
    forged: dict = field(factory=dict)

    def token(self, **changes):
        now = int(time.time())
        values = {"iss": self.url, "aud": "pacs", "sub": "42", "exp": now + 300, "iat": now}
        values |= {"preferred_username": "anna", "roles": ["nurse"], **changes}
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, values, self.key)

    def answer(self, method, path, query, body):
        self.asked.append(f"{method} {path}")
        if path in self.broken:
            return self.broken[path], {}, b"{}"
        if path == "/.well-known/openid-configuration":
            return (
                200,
                {},
                self._json(
                    issuer=self.url,
                    authorization_endpoint=f"{self.url}/authorize",
                    token_endpoint=f"{self.url}/token",
                    jwks_uri=f"{self.url}/keys",
                ),
            )
        if path == "/keys":
            return 200, {}, self._json(keys=[self.key.as_dict(private=False)])
        if path == "/authorize":
            self.codes["c0de"] = query
            back = urlencode({"code": "c0de", "state": query["state"], "iss": self.url})
            return 303, {"Location": f"{query['redirect_uri']}?{back}"}, b""
        if path == "/token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            asked = self.codes.pop(form["code"], None)
            digest = sha256(form["code_verifier"].encode()).digest()
            challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
            if asked is None or challenge != asked["code_challenge"]:
                return 400, {}, b'{"error": "invalid_grant"}'
            return (
                200,
                {},
                self._json(id_token=self.token(**{"nonce": asked["nonce"], **self.forged})),
            )
        return 404, {}, b""

    @staticmethod
    def _json(**values):
        return json.dumps(values).encode()


@contextmanager
def run_provider():
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, answer = provider.answer(self.command, parts.path, query, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def provider():
    with run_provider() as provider:
        yield provider


@pytest.fixture
def node(provider, tmp_path):
    tables = {"plugin": {"auth-oidc": {"issuer": provider.url, "client_id": "pacs"}}}
    with node_thread(tmp_path, tables, plugins=PLUGINS) as node:
        yield node


@pytest.fixture
def client(node):
    port = node.node.service_sockets["web"][0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client


def studies(client, token=""):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.get("/dicom-web/studies", headers=headers)


def sign_in(client, target=""):
    """Go the way of a browser; return the answer to the last step."""
    begun = client.get("/auth/oidc/login", params={"next": target} if target else None)
    assert begun.status_code == 303, begun.text
    there = httpx.get(begun.headers["location"])
    assert there.status_code == 303
    return client.get(there.headers["location"])


def test_who_says_nothing_is_nobody(client):
    assert studies(client).status_code == 401
    assert client.get("/health").status_code == 200
    page = client.get("/ui/", headers={"Accept": "text/html"})
    assert page.status_code == 303
    assert page.headers["location"].startswith("/auth/login?next=/ui/")
    shown = client.get("/auth/login", headers={"Accept": "text/html"})
    assert "/auth/oidc/login" in shown.text


def test_people_sign_in_by_the_code_flow(client, provider):
    finished = sign_in(client, "/ui/")
    assert (finished.status_code, finished.headers["location"]) == (303, "/ui/")
    assert studies(client).status_code in {200, 204}
    assert "anna" in client.get("/ui/", headers={"Accept": "text/html"}).text


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_nobody_is_led_away(client, target):
    assert sign_in(client, target).headers["location"] == "/"


def test_an_answer_to_somebody_else_is_refused(client, provider):
    begun = client.get("/auth/oidc/login")
    there = httpx.get(begun.headers["location"]).headers["location"]
    client.cookies.clear()
    assert client.get(there).status_code == 403
    assert studies(client).status_code == 401


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
def test_an_id_token_that_is_not_for_this_sign_in(client, provider, change):
    provider.forged = change
    assert sign_in(client).status_code == 403
    assert studies(client).status_code == 401


def test_a_code_is_of_use_to_who_asked_for_it_only(client, provider):
    begun = client.get("/auth/oidc/login")
    there = httpx.get(begun.headers["location"]).headers["location"]
    provider.codes["c0de"]["code_challenge"] = "of somebody else"
    assert client.get(there).status_code == 502


def test_the_provider_says_no(client):
    begun = client.get("/auth/oidc/login")
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    refused = client.get(
        "/auth/oidc/callback", params={"state": state, "error": "<script>access_denied"}
    )
    assert refused.status_code == 403
    assert "<script>" not in refused.text or refused.headers["content-type"].endswith("json")


def test_machines_bring_tokens(client, provider):
    assert studies(client, provider.token()).status_code in {200, 204}
    for made in (
        provider.token(aud="other"),
        provider.token(exp=1),
        provider.token()[:-4] + "AAAA",
        "a.b.c",
        "nonsense",
        "x" * 20_000,
    ):
        refused = studies(client, made)
        assert refused.status_code in {401, 431}, made[:20]
    assert studies(client, provider.token()).status_code in {200, 204}


def test_new_keys_are_fetched_and_not_for_every_stranger(client, provider, monkeypatch):
    assert studies(client, provider.token()).status_code in {200, 204}
    provider.key = RSAKey.generate_key(2048, {"kid": "2"})
    provider.asked.clear()
    for _ in range(20):
        studies(client, provider.token())
    assert provider.asked.count("GET /keys") <= 1
    monkeypatch.setattr("pacs_auth_oidc.provider._PAUSE", 0.0)
    assert studies(client, provider.token()).status_code in {200, 204}


def test_a_provider_that_is_away_lets_nobody_in(client, provider):
    provider.broken = {"/.well-known/openid-configuration": 500}
    refused = studies(client, provider.token())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert client.get("/auth/oidc/login").status_code == 503
    assert client.get("/health").status_code == 200


def associate(node, token, kind=5):
    ae = AE("MACHINE")
    ae.add_requested_context(Verification)
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = kind, token
    identity.positive_response_requested = True
    return ae.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=[identity])


def test_peers_bring_tokens_as_user_identity(node, provider):
    association = associate(node, provider.token().encode())
    assert association.is_established
    assert association.send_c_echo().Status == 0x0000
    association.release()
    trail = node.data_directory / "audit" / "audit.jsonl"
    until(lambda: '"anna"' in trail.read_text())
    for made in (provider.token(aud="other").encode(), b"a.b.c", b"\xff" * 3000, b""):
        assert not associate(node, made).is_established
    again = associate(node, provider.token().encode())
    assert again.is_established
    again.release()
