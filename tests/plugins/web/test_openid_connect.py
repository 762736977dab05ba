"""Sign-in by OpenID Connect, with a provider that runs here: people, machines, DIMSE peers."""

import json
import threading
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from pacs_core.association import AssociationOptions, AssociationRefusedError, Proposal, connect
from pacs_core.upper_layer import NO_REASON_GIVEN, UserIdentity, UserIdentityType

from .conftest import run_web, wait_for

PLUGINS = ("auth-local", "auth-oidc", "web-ui", "dicomweb", "sop-query-retrieve")
STUDIES = "/dicom-web/studies"


class Provider:
    """An OpenID Connect provider: one client, one user who always agrees."""

    def __init__(self, port):
        self.issuer = f"http://127.0.0.1:{port}"
        self.rotate("first")
        self.codes = {}
        self.asked = []
        self.broken = self.swap_nonce = False

    def rotate(self, kid):
        self.key = RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})

    def token(self, **changes):
        claims = {
            "iss": self.issuer, "aud": "pacs", "sub": "1", "exp": int(time()) + 60,
            "preferred_username": "carol", "groups": ["radiology"],
        }  # fmt: skip
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims | changes, self.key)

    def get(self, path, query):
        self.asked.append(path)
        if self.broken:
            return 500, {}
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        assert path == "/authorize"
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return 303, f"{query['redirect_uri']}?code={code}&state={query['state']}"

    def post(self, path, form):
        assert path == "/token"
        query = self.codes.pop(form.get("code"), None)
        if query is None or query["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        digest = sha256(form["code_verifier"].encode()).digest()
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != query["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        nonce = "another" if self.swap_nonce else query["nonce"]
        return 200, {"token_type": "Bearer", "id_token": self.token(nonce=nonce)}


@contextmanager
def serve_provider():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.answer(*provider.get(parts.path, query))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self.answer(*provider.post(self.path, form))

        def answer(self, status, content):
            self.send_response(status)
            if status == 303:
                self.send_header("location", content)
                content = {}
            body = json.dumps(content).encode()
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def provider():
    with serve_provider() as running:
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
    replayed = httpx.get(back)  # by somebody else
    assert replayed.status_code == 403
    trail = (web.node.data_directory / "audit" / "audit.jsonl").read_text()
    login = [json.loads(line) for line in trail.splitlines() if "auth-local.login" in line][-1]
    assert (login["user"], login["details"]["method"]) == ("carol", "oidc")


def test_answers_to_nothing_that_was_asked(web, provider):
    with web.client() as client, web.client() as other:
        mine, theirs = begin(client), begin(other)
        assert client.get(theirs).status_code == 403  # somebody else's code, planted
        code = mine.partition("?")[2].partition("&")[0]
        for query in ("", code, f"{code}&state=", f"{code}&state=%C3%A9", "state=x&error=<script>"):
            answer = client.get(f"/auth/oidc/callback?{query}")
            assert answer.status_code == 403
            assert "<script>" not in answer.text
        assert client.get(mine + "&iss=https://evil.example").status_code == 403
        assert client.get(STUDIES).status_code == 401


def test_a_token_that_answers_another_request(web, provider):
    with web.client() as client:
        back = begin(client)
        provider.swap_nonce = True
        try:
            assert client.get(back).status_code == 403
        finally:
            provider.swap_nonce = False
        assert client.get(STUDIES).status_code == 401


def test_a_code_that_is_none(web):
    with web.client() as client:
        state = begin(client).partition("state=")[2]
        assert client.get(f"/auth/oidc/callback?code=guessed&state={state}").status_code == 502


def test_cookies_that_are_none_of_ours(web):
    partial = urlsafe_b64encode(b'{"state":1}').decode()
    for said in ("x", "e30=", "W10=", "bnVsbA==", "W1tbW1s=", partial):
        answer = web.get("/auth/oidc/callback?state=x&code=y", cookies={"pacs_oidc": said})
        assert answer.status_code == 403


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_nobody_is_led_to_another_site(web, target):
    with web.client() as client:
        assert client.get(begin(client, target)).headers["location"] == "/"


def test_machines_have_bearer_tokens(web, provider):
    def ask(token):
        return web.get(STUDIES, headers={"authorization": f"Bearer {token}"})

    assert ask(provider.token()).status_code == 200
    for token in (
        provider.token(exp=1), provider.token(aud="other"), provider.token(iss="other"),
        provider.token()[:-8] + "AAAAAAAA", "eyJhbGciOiJub25lIn0.e30.AAAA",
    ):  # fmt: skip
        answer = ask(token)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert token not in web.log
    assert web.get(STUDIES).status_code == 401
    assert web.is_healthy()
    wait_for(lambda: '127.0.0.1 carol "GET /dicom-web/studies" 200' in web.log, "who is not logged")


def associate(web, token):
    """Associate; return the A-ASSOCIATE-RJ, or None."""
    identity = UserIdentity(UserIdentityType.JWT, True, token.encode())
    options = AssociationOptions(user_identity=identity)

    async def ask():
        try:
            async with connect(web.node.peer, [Proposal("1.2.840.10008.1.1")], options=options):
                return None
        except AssociationRefusedError as error:
            return error.rejection

    return anyio.run(ask)


def test_dimse_peers_have_tokens(web, provider):
    """User identity of type 5 (PS3.7 D.3.3.7.1)."""
    assert associate(web, provider.token()) is None
    assert associate(web, provider.token(exp=1)) == NO_REASON_GIVEN
    assert associate(web, "x" * 60_000) == NO_REASON_GIVEN
    trail = web.node.data_directory / "audit" / "audit.jsonl"

    def accepted():
        lines = trail.read_text().splitlines()
        return [json.loads(line)["user"] for line in lines if '"association-accepted"' in line]

    wait_for(accepted, "it is not recorded")
    assert accepted() == ["carol"]


def ask(web, token):
    return web.get(STUDIES, headers={"authorization": f"Bearer {token}"}).status_code


def run_with(own, folder, **more):
    table = {"issuer": own.issuer, "client_id": "pacs", **more}
    return run_web(folder, plugins=PLUGINS, plugin={"web": {"port": 0}, "auth-oidc": table})


def test_a_provider_that_is_ill_is_left_alone_and_the_node_starts(tmp_path):
    with serve_provider() as own, run_with(own, tmp_path) as web:
        own.broken = True
        assert ask(web, own.token()) == 503
        own.broken = False
        assert [ask(web, own.token()) for _ in range(5)] == [503] * 5
        assert len(own.asked) == 1
        assert web.is_healthy()


def test_unknown_keys_let_nobody_be_asked_again_and_again(tmp_path):
    with serve_provider() as own, run_with(own, tmp_path) as web:
        good = own.token()
        assert ask(web, good) == 200
        asked = len(own.asked)
        own.rotate("unknown")
        assert [ask(web, own.token()) for _ in range(5)] == [401] * 5
        assert len(own.asked) == asked
        assert ask(web, good) == 200


def test_keys_that_have_changed_are_taken_once_the_old_ones_are_old(tmp_path):
    with serve_provider() as own, run_with(own, tmp_path, keys_for=0.5) as web:
        assert ask(web, own.token()) == 200
        own.rotate("second")
        wait_for(lambda: ask(web, own.token()) == 200, "new keys are not taken")
