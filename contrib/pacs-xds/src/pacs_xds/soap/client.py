"""Requests to web services of others: an envelope out, with documents, and the answer back.

What went wrong is told apart by whether it may help to try again: :class:`PeerAwayError` says that
nothing is known of the request, or that the other end has no time; a :class:`SoapFault` and what an
answer says itself are for whoever has asked.
"""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
from attrs import define, field
from pacs_core.contracts import TlsContexts
from pacs_web.api.multipart_writing import OutgoingPart, new_boundary, write_multipart

from pacs_xds.config import XdsPeer
from pacs_xds.soap.envelope import Message, SoapFault, make_envelope, read_envelope, read_fault
from pacs_xds.soap.mtom import (
    SOAP_XML,
    MalformedPackage,
    Package,
    PackageLimits,
    new_content_id,
    package_type,
    read_package,
    root_part,
)
from pacs_xds.soap.xml import Element, parse, serialize

_AWAY: Final = frozenset({408, 425, 429, 502, 503, 504})
_ANSWERS: Final = frozenset({200, 202, 400, 500})
"""Statuses with which an envelope comes (SOAP 1.2 part 2, Table 20)."""


class PeerAwayError(Exception):
    """Nothing is known of a request: it may be sent again."""


class PeerError(Exception):
    """The other end has answered what makes no sense, or refuses; says what."""


@define
class SoapClient:
    """Asks one web service.

    Attributes
    ----------
    peer : XdsPeer
    contexts : TlsContexts
        Of the node.
    assertion : Path or None
        File with a SAML assertion that goes along.
    limits : PackageLimits
        Of answers.
    directory : Path or None
        Where documents of answers are kept meanwhile.
    """

    peer: XdsPeer
    contexts: TlsContexts
    assertion: Path | None = None
    limits: PackageLimits = field(factory=PackageLimits)
    directory: Path | None = None

    @asynccontextmanager
    async def ask(
        self,
        action: str,
        body: Element,
        documents: Sequence[OutgoingPart] = (),
        *,
        is_package: bool = True,
    ) -> AsyncIterator[tuple[Message, Package]]:
        """Ask, and give the answer for an ``async with`` block.

        Parameters
        ----------
        action : str
            Of WS-Addressing.
        body : element
        documents : sequence of OutgoingPart
        is_package : bool
            Whether the request is one of MTOM, as all are but ITI-18.

        Raises
        ------
        PeerAwayError
        PeerError
        SoapFault
            The answer is one.
        """
        assertion = None if self.assertion is None else parse(self.assertion.read_bytes())
        envelope = serialize(make_envelope(action, body, to=self.peer.url, assertion=assertion))
        headers, content = _write(action, envelope, documents, is_package=is_package)
        try:
            async with (
                httpx.AsyncClient(
                    verify=self._verify(), timeout=self.peer.timeout, trust_env=False
                ) as http,
                http.stream("POST", self.peer.url, headers=headers, content=content) as response,
            ):
                self._check(response)
                async with read_package(
                    response.headers.get("content-type", ""),
                    response.aiter_bytes(),
                    self.limits,
                    self.directory,
                ) as package:
                    message = self._read(package)
                    if (fault := read_fault(message.body)) is not None:
                        raise fault
                    yield message, package
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise PeerAwayError(f"{self.peer.url}: {reason}") from error
        except MalformedPackage as error:
            raise PeerError(f"{self.peer.url} answers what is not taken: {error}") from error

    def _read(self, package: Package) -> Message:
        try:
            return read_envelope(package.root)
        except SoapFault as error:  # it is the answer that deserves it, not the request
            raise PeerError(f"{self.peer.url} answers what is not taken: {error}") from error

    def _verify(self) -> ssl.SSLContext | bool:
        return True if self.peer.tls is None else self.contexts.client_context(self.peer.tls)

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        said = f"{self.peer.url} answers {status} {response.reason_phrase}"
        if status in _AWAY:
            raise PeerAwayError(said)
        kind = response.headers.get("content-type", "").lower()
        has_envelope = SOAP_XML in kind or "multipart/related" in kind
        if status not in _ANSWERS or not has_envelope:
            raise PeerError(f"{said}, of the type {kind[:80] or 'nothing'}")


def _write(
    action: str, envelope: bytes, documents: Sequence[OutgoingPart], *, is_package: bool
) -> tuple[dict[str, str], bytes | AsyncIterator[bytes]]:
    if not is_package:
        return {"Content-Type": f'{SOAP_XML}; charset=UTF-8; action="{action}"'}, envelope
    boundary, start = new_boundary(), new_content_id()

    async def pieces() -> AsyncIterator[bytes]:
        async def parts() -> AsyncIterator[OutgoingPart]:
            yield root_part(envelope, start)
            for each in documents:
                yield each

        async for piece in write_multipart(parts(), boundary):
            yield bytes(piece)

    return {"Content-Type": package_type(boundary, start, action)}, pieces()


def is_passing(fault: SoapFault) -> bool:
    """Tell whether a fault is one of the other end's, which may be over soon."""
    return fault.code == "Receiver"
