"""The identity provider: its configuration (OpenID Connect Discovery), keys, and token endpoint.

Nothing is asked when the node starts, so that it starts without the provider. What is fetched is
kept; a token with an unknown key lets the keys be fetched again, at most every half minute, so that
whoever sends nonsense lets nobody be asked more often. A failure is remembered as long.
"""

import json
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import anyio
from attrs import frozen

from pacs_auth_oidc.config import OidcConfig, is_safe_url
from pacs_core.contracts import Component

if TYPE_CHECKING:
    import httpx

    from pacs_auth_oidc.verification import Claims, Key

_MOST: Final = 256 * 1024
_PAUSE: Final = 30.0
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


class ProviderError(Exception):
    """The identity provider does not answer, or not as it should."""


@frozen
class Endpoints:
    """What discovery says of the provider."""

    authorization: str
    token: str
    keys: str


class IdentityProvider(Component):
    """The provider that the configuration names.

    Parameters
    ----------
    config : OidcConfig
    """

    def __init__(self, config: OidcConfig) -> None:
        self.config = config
        self._client: httpx.AsyncClient | None = None
        self._lock = anyio.Lock()
        self._endpoints: Endpoints | None = None
        self._keys: Mapping[str, Key] = {}
        self._fetched = self._tried = -3600.0 * 24
        self._failure = ""

    async def stop(self) -> None:
        """See base."""
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    async def endpoints(self) -> Endpoints:
        """Return where to lead people, and where codes are exchanged.

        Raises
        ------
        ProviderError
            They cannot be found out.
        """
        if self._endpoints is None:
            await self._refresh(self._fetched)
        assert self._endpoints is not None  # noqa: S101 for mypy: else it has raised
        return self._endpoints

    async def verify(self, token: str, audiences: frozenset[str]) -> "Claims":
        """Return what a token says.

        Raises
        ------
        TokenError
            It is not to be believed.
        ProviderError
            The keys cannot be fetched.
        """
        from pacs_auth_oidc.verification import UnknownKeyError, verify

        seen = self._fetched
        if monotonic() - seen > self.config.keys_for:
            await self._refresh(seen)
        try:
            return verify(token, self._keys, self.config, audiences)
        except UnknownKeyError:
            if monotonic() - self._tried < _PAUSE:
                raise
            await self._refresh(self._fetched)
            return verify(token, self._keys, self.config, audiences)

    async def exchange(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what the provider gives for a code (RFC 6749 §4.1.3).

        Raises
        ------
        ProviderError
            It refuses, or cannot be asked.
        """
        endpoints, config = await self.endpoints(), self.config
        fields, secret = {**form, "client_id": config.client_id}, None
        if config.client_secret is not None:
            from urllib.parse import quote_plus

            secret = (quote_plus(config.client_id), quote_plus(config.client_secret.reveal()))
        return await self._ask("POST", endpoints.token, data=fields, auth=secret)

    async def _refresh(self, seen: float) -> None:
        async with self._lock:
            if self._fetched != seen:  # somebody else has, meanwhile
                return
            if self._failure and monotonic() - self._tried < _PAUSE:
                raise ProviderError(self._failure)
            self._tried = monotonic()
            try:
                await self._fetch()
            except ProviderError as error:
                self._failure = str(error)
                raise
            self._failure, self._fetched = "", monotonic()

    async def _fetch(self) -> None:
        from pacs_auth_oidc.verification import usable_keys

        issuer = self.config.issuer
        found = await self._ask("GET", issuer.rstrip("/") + _WELL_KNOWN)
        if found.get("issuer") != issuer:  # OpenID Connect Discovery 1.0 §4.3
            raise ProviderError(f"{issuer} says that it is another issuer")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        urls = [found.get(name) for name in names]
        if not all(isinstance(url, str) and is_safe_url(url) for url in urls):
            raise ProviderError(f"{issuer} names no endpoints that can be used")
        self._endpoints = Endpoints(*map(str, urls))
        keys = usable_keys(await self._ask("GET", self._endpoints.keys))
        if not keys:
            raise ProviderError(f"{self._endpoints.keys} has no key that can be used")
        self._keys = keys

    async def _ask(self, method: str, url: str, **arguments: Any) -> Mapping[str, Any]:
        import httpx

        if self._client is None:
            self._client = self._make_client()
        body = b""
        try:
            with anyio.fail_after(self.config.timeout):
                async with self._client.stream(method, url, **arguments) as response:
                    async for piece in response.aiter_bytes():
                        body += piece
                        if len(body) > _MOST:
                            raise ProviderError(f"{url}: the answer has more than {_MOST} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise ProviderError(f"{url}: {error or type(error).__name__}") from error
        if response.status_code != 200:
            raise ProviderError(f"{url}: {response.status_code}")
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProviderError(f"{url}: the answer is no JSON") from error
        if not isinstance(found, dict):
            raise ProviderError(f"{url}: the answer is no JSON object")
        return found

    def _make_client(self) -> "httpx.AsyncClient":
        import ssl

        import httpx

        context = ssl.create_default_context(cafile=self.config.ca)
        # Without the environment's proxies and passwords; a redirect would lead elsewhere.
        return httpx.AsyncClient(
            verify=context,
            trust_env=False,
            follow_redirects=False,
            timeout=self.config.timeout,
            headers={"accept": "application/json"},
        )
