# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of TLS contexts as tests: inherit, and say how a provider is made, and for what.

Example
-------
::

    class TestVaultContexts(TlsContextsContract):
        @pytest.fixture
        def contexts(self) -> TlsContexts:
            return VaultContexts(FOLDER)

        @pytest.fixture
        def server(self) -> ServerTls:
            return ServerTls(Path("unused"), peers=PeerCertificates.OPTIONAL, ca=Path("unused"))

        @pytest.fixture
        def client(self) -> ClientTls:
            return ClientTls(check_hostname=False)
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from attrs import evolve

from pacs_core.contracts import ClientTls, PeerCertificates, ServerTls, TlsContexts, TlsProfile
from pacs_core.tls import SUITES


class TlsContextsContract:
    """What every provider of TLS contexts must do.

    Subclass it in a test module, and define the fixtures ``contexts``, ``server`` and ``client``:
    settings under which the one accepts the other.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def contexts(self) -> TlsContexts:
        """Return the provider, created, and not started."""
        raise NotImplementedError("define the fixture `contexts`")

    @pytest.fixture
    def server(self) -> ServerTls:
        """Return settings of a listening side."""
        raise NotImplementedError("define the fixture `server`")

    @pytest.fixture
    def client(self) -> ClientTls:
        """Return settings of a side that connects to it, and need not know its host."""
        raise NotImplementedError("define the fixture `client`")

    @pytest.fixture
    async def running(self, contexts: TlsContexts) -> AsyncIterator[TlsContexts]:
        """Return the provider, started; stopped after the test."""
        await contexts.start()
        yield contexts
        await contexts.stop()

    async def test_both_sides_agree(
        self, running: TlsContexts, server: ServerTls, client: ClientTls
    ) -> None:
        ends = _shake_hands(running.server_context(server), running.client_context(client))
        assert {end.version() for end in ends} <= {"TLSv1.2", "TLSv1.3"}

    async def test_contexts_are_kept(
        self, running: TlsContexts, server: ServerTls, client: ClientTls
    ) -> None:
        assert running.server_context(server) is running.server_context(server)
        assert running.client_context(client) is running.client_context(client)

    @pytest.mark.parametrize("profile", SUITES)
    async def test_the_profile_is_kept(
        self, running: TlsContexts, server: ServerTls, client: ClientTls, profile: TlsProfile
    ) -> None:
        for context in (
            running.server_context(evolve(server, profile=profile, ciphers="")),
            running.client_context(evolve(client, profile=profile, ciphers="")),
        ):
            assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
            assert context.options & ssl.OP_NO_RENEGOTIATION
            offered = [c["name"] for c in context.get_ciphers() if c["protocol"] != "TLSv1.3"]
            assert set(offered) <= set(SUITES[profile])

    async def test_what_is_asked_of_peers_is_kept(
        self, running: TlsContexts, server: ServerTls
    ) -> None:
        for peers, mode in (
            (PeerCertificates.REQUIRED, ssl.CERT_REQUIRED),
            (PeerCertificates.OPTIONAL, ssl.CERT_OPTIONAL),
            (PeerCertificates.IGNORED, ssl.CERT_NONE),
        ):
            assert running.server_context(evolve(server, peers=peers)).verify_mode == mode

    async def test_peers_are_always_verified(self, running: TlsContexts, client: ClientTls) -> None:
        for check in (True, False):
            context = running.client_context(evolve(client, check_hostname=check))
            assert context.verify_mode == ssl.CERT_REQUIRED
            assert context.check_hostname is check


def _shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(one, other, server_hostname="localhost"),
        server.wrap_bio(other, one, server_side=True),
    )
    for _ in range(5):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends
