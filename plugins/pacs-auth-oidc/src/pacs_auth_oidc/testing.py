# ruff: noqa: D102 - HTTP and the protocol name the methods
"""An identity provider on the loopback interface, for tests of nodes and plugins."""

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from attrs import define, field
from joserfc import jwt
from joserfc.jwk import RSAKey

_WELL_KNOWN: Final = "/.well-known/openid-configuration"


@define
class TestProvider:
    """A provider with one client, ``pacs``, and one user, who agrees to everything.

    Attributes
    ----------
    issuer : str
        Its URL.
    key : RSAKey
        With which it signs.
    claims : dict
        Of all tokens, besides those that are needed.
    forged : dict
        Claims that only the ID tokens of the code flow have.
    extras : dict
        What the published key says besides itself, such as ``x5c``.
    codes : dict
        What was asked with the codes that were given and not exchanged yet.
    asked : list of str
        Paths that were read.
    is_broken : bool
        Whether reading fails.
    """

    __test__ = False

    issuer: str
    key: RSAKey = field(factory=lambda: RSAKey.generate_key(2048, {"kid": "first"}))
    claims: dict[str, Any] = field(factory=lambda: {"preferred_username": "carol"})
    forged: dict[str, Any] = field(factory=dict)
    extras: dict[str, Any] = field(factory=dict)
    codes: dict[str, dict[str, str]] = field(factory=dict)
    asked: list[str] = field(factory=list)
    is_broken: bool = False

    def rotate(self, kid: str) -> None:
        """Sign with another key from now on."""
        self.key = RSAKey.generate_key(2048, {"kid": kid})

    def token(self, **claims: object) -> str:
        """Return a token with these claims in the place of others; None leaves one out."""
        needed = {"iss": self.issuer, "aud": "pacs", "sub": "1", "exp": int(time()) + 300}
        said = needed | self.claims | claims
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, said, self.key)

    def get(self, path: str, query: dict[str, str]) -> tuple[int, object]:
        self.asked.append(path)
        if self.is_broken:
            return 500, {}
        if path == _WELL_KNOWN:
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            urls = (f"{self.issuer}/{last}" for last in ("authorize", "token", "keys"))
            return 200, {"issuer": self.issuer, **dict(zip(names, urls, strict=True))}
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False) | {"use": "sig"} | self.extras]}
        if path != "/authorize":
            return 404, {}
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        back = urlencode({"code": code, "state": query["state"], "iss": self.issuer})
        return 303, f"{query['redirect_uri']}?{back}"

    def post(self, path: str, form: dict[str, str]) -> tuple[int, object]:
        asked = self.codes.pop(form.get("code", ""), None)
        if path != "/token" or asked is None or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        digest = sha256(form["code_verifier"].encode()).digest()
        if urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        said = {"nonce": asked["nonce"], **self.forged}
        return 200, {"token_type": "Bearer", "id_token": self.token(**said)}


@contextmanager
def run_provider() -> Iterator[TestProvider]:
    """Run a provider."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._answer(*provider.get(parts.path, _fields(parts.query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._answer(*provider.post(self.path, _fields(body)))

        def _answer(self, status: int, content: object) -> None:
            self.send_response(status)
            if status == 303:
                self.send_header("location", str(content))
            body = json.dumps(content).encode()
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = TestProvider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _fields(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}
