"""Requests to a DICOMweb server: search, retrieve, store.

Theory of operation
-------------------
Everything is streamed: files into a Store request, and parts out of a response, through the same
splitter that reads what clients send to us.

What may be repeated without harm is repeated, after a failure of the network or a 502, 503 or 504:
queries, retrievals before their first byte, and Store requests, for an instance that is there
already is no second one. The pause is that of Retry-After, or grows. Redirects are not followed:
another server must not be given what this one is owed.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import httpx
from attrs import define, frozen
from pacs_web.api.media_types import media_type

from pacs_core.api.streams import closing
from pacs_core.contracts import DicomWebPeer, TlsContexts, current_correlation
from pacs_core.dataset import ElementSet, MalformedModel
from pacs_core.dataset.json_model import read_json
from pacs_dicomweb.client.uploads import Content, UploadBody
from pacs_dicomweb.multipart import MalformedMultipart, Part, Splitter, split

ATTEMPTS: Final = 3
_PAUSES: Final = (1.0, 5.0)
_LONGEST_PAUSE: Final = 60.0
_PAGE: Final = 200
"""Matches that are asked for at a time."""
_PASSING: Final = frozenset({502, 503, 504})
_MAX_JSON: Final = 64 << 20
_MAX_PROBLEM: Final = 16 << 10

INSTANCES: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class DicomWebError(Exception):
    """A server did not do what it was asked; says what it said.

    Attributes
    ----------
    status : int
        Of HTTP; 0 if there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@frozen
class StoreAnswer:
    """What a server says of a Store request (PS3.18 Annex I).

    Attributes
    ----------
    stored : frozenset of str
        SOP Instance UIDs.
    failed : mapping of str to int
        Failure Reason by SOP Instance UID.
    warned : mapping of str to int
        Warning Reason by SOP Instance UID.
    unnamed_failures : int
        Parts that it could not tell what they were.
    """

    stored: frozenset[str]
    failed: Mapping[str, int]
    warned: Mapping[str, int]
    unnamed_failures: int = 0


@define
class DicomWebClient:
    """A client of one server; :func:`open_client` makes it."""

    peer: DicomWebPeer
    http: httpx.AsyncClient

    async def search(
        self, path: str, parameters: Sequence[tuple[str, str]] = ()
    ) -> list[ElementSet]:
        """Search (QIDO-RS, PS3.18 §10.6).

        Parameters
        ----------
        path : str
            Such as ``"studies"`` or ``"studies/1.2.3/series"``.
        parameters : sequence of (str, str)

        Raises
        ------
        DicomWebError
        """
        headers = {"Accept": "application/dicom+json"}
        async with self._answer("GET", path, headers=headers, params=parameters) as response:
            if response.status_code == httpx.codes.NO_CONTENT:
                return []
            body = await _read(response, _MAX_JSON)
        try:
            return read_json(body, max_length=_MAX_JSON)
        except MalformedModel as error:
            raise DicomWebError(f"{self.peer.url}: {error}") from error

    async def search_all(
        self, path: str, unique: int, parameters: Sequence[tuple[str, str]] = ()
    ) -> AsyncGenerator[ElementSet, None]:
        """Search page by page, and iterate over what is found; nothing of a page before again.

        A server may give less than a page where it hides something, so only an empty page is the
        last; and one that knows no offset gives the same page for ever, so a page without anything
        new is the last as well.

        Parameters
        ----------
        path : str
            See :meth:`search`.
        unique : int
            Tag of the UID that tells matches apart.
        parameters : sequence of (str, str)
            Without ``limit`` and ``offset``.

        Raises
        ------
        DicomWebError
        """
        seen: set[tuple[str, ...]] = set()
        offset = 0
        while True:
            page = [*parameters, ("limit", str(_PAGE)), ("offset", str(offset))]
            found = await self.search(path, page)
            new = [match for match in found if match.texts(unique)[:1] not in seen]
            if not new:
                return
            seen.update(match.texts(unique)[:1] for match in new)
            for match in new:
                yield match
            offset += len(found)

    @asynccontextmanager
    async def retrieve(self, path: str) -> AsyncIterator[AsyncIterator[Part]]:
        """Retrieve instances (WADO-RS, PS3.18 §10.4), for an ``async with`` block.

        Parameters
        ----------
        path : str
            Such as ``"studies/1.2.3"``.

        Yields
        ------
        async iterator of Part
            Each a Part 10 file, to be read before the next; raises :class:`DicomWebError` where
            the response ends before it is complete, and on leaving if the server had more than it
            gave (206, PS3.18 Table 8.5-1).

        Raises
        ------
        DicomWebError
        """
        async with self._answer("GET", path, headers={"Accept": INSTANCES}) as response:
            kind = media_type(response.headers.get("content-type", ""))
            # What goes wrong while the caller reads parts comes out here as well.
            try:
                if kind is not None and kind.name == "application/dicom":
                    yield _single(response)
                    _require_all(response)
                    return
                if kind is None or kind.name != "multipart/related":
                    shown = response.headers.get("content-type", "no media type")
                    raise DicomWebError(f"{self.peer.url} answered with {shown:.80}")
                splitter = Splitter(kind.parameters.get("boundary", ""))
                async with closing(split(response.aiter_bytes(), splitter)) as parts:
                    yield parts
                _require_all(response)
            except (MalformedMultipart, httpx.HTTPError) as error:
                raise DicomWebError(
                    f"{self.peer.url}: the response is not whole: {error}"
                ) from error

    async def store(self, contents: Sequence[Content]) -> StoreAnswer:
        """Store files in one request (STOW-RS, PS3.18 §10.5).

        Raises
        ------
        DicomWebError
            Nothing is known to be stored.
        OSError
            A file cannot be read.
        """
        body = UploadBody(contents)
        headers = {
            "Accept": "application/dicom+json",
            "Content-Type": body.media_type,
            "Content-Length": str(body.length),
        }
        async with self._answer("POST", "studies", headers=headers, body=body) as response:
            return _store_answer(await _read(response, _MAX_JSON), self.peer.url)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Sequence[tuple[str, str]] = (),
        body: UploadBody | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, again where that may help, and give the response if it is a good one."""
        for attempt in range(ATTEMPTS):
            pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
            is_last = attempt == ATTEMPTS - 1
            request = self.http.build_request(
                method,
                f"{self.peer.url}/{path}",
                headers=dict(headers),
                params=httpx.QueryParams(tuple(params)),
                content=body.pieces() if body is not None else None,
            )
            try:
                response = await self.http.send(request, stream=True)
            except httpx.HTTPError as error:
                if is_last:
                    reason = str(error) or type(error).__name__
                    raise DicomWebError(f"{self.peer.url} cannot be reached: {reason}") from error
                await anyio.sleep(pause)
                continue
            try:
                if response.status_code not in _PASSING or is_last:
                    await self._check(response, is_store=body is not None)
                    yield response
                    return
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
            await anyio.sleep(_retry_after(response, pause))

    async def _check(self, response: httpx.Response, *, is_store: bool) -> None:
        # 409 has a Store Instances Response Module that says what failed (Table 10.5.3-1).
        is_good = response.is_success or (is_store and response.status_code == httpx.codes.CONFLICT)
        if is_good:
            return
        try:
            text = (await _read(response, _MAX_PROBLEM)).decode("utf-8", "replace")
        except DicomWebError:
            text = ""
        raise DicomWebError(
            f"{self.peer.url} answered {response.status_code} {response.reason_phrase}"
            f"{_detail(text)}",
            response.status_code,
        )


@asynccontextmanager
async def open_client(
    peer: DicomWebPeer, contexts: TlsContexts, *, timeout: float = 60.0
) -> AsyncIterator[DicomWebClient]:
    """Open a client for an ``async with`` block.

    Parameters
    ----------
    peer : DicomWebPeer
    contexts : TlsContexts
        Of the node: where a peer has a table of TLS.
    timeout : float
        Seconds without a byte, either way.

    Raises
    ------
    LookupError
        A secret is not there.
    """
    headers = {}
    if peer.token is not None:
        headers["Authorization"] = f"Bearer {peer.token.reveal()}"
    auth = (peer.user, peer.password.reveal()) if peer.password is not None else None
    verify = True if peer.tls is None else contexts.client_context(peer.tls)
    async with httpx.AsyncClient(
        headers=headers,
        auth=auth,
        verify=verify,
        timeout=timeout,
        trust_env=False,
        event_hooks={"request": [_say_on_behalf_of_what]},
    ) as http:
        yield DicomWebClient(peer, http)


async def _say_on_behalf_of_what(request: httpx.Request) -> None:
    request.headers.update(current_correlation().headers)


async def _read(response: httpx.Response, most: int) -> bytes:
    pieces, size = [], 0
    try:
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > most:
                raise DicomWebError(f"{response.url} answers with more than {most} bytes")
            pieces.append(piece)
    except httpx.HTTPError as error:
        raise DicomWebError(f"{response.url}: the response is not whole: {error}") from error
    return b"".join(pieces)


async def _single(response: httpx.Response) -> AsyncIterator[Part]:
    yield Part({"content-type": "application/dicom"}, response.aiter_bytes())


def _require_all(response: httpx.Response) -> None:
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        reason = response.headers.get("warning", "206 Partial Content")
        raise DicomWebError(f"{response.url} gave only some of the instances: {reason[:200]}")


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    given = response.headers.get("retry-after", "")
    return min(float(given), _LONGEST_PAUSE) if given.isdecimal() else otherwise


def _detail(text: str) -> str:
    """Return what a problem (RFC 9457), or a text, says."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        text = str(found.get("detail") or found.get("Message") or found.get("title") or "")
    line = " ".join(text.split())[:200]
    return f": {line}" if line else ""


def _store_answer(body: bytes, url: str) -> StoreAnswer:
    try:
        (found,) = read_json(body, max_length=_MAX_JSON)
    except (MalformedModel, ValueError) as error:
        raise DicomWebError(f"{url}: the answer to the Store request makes no sense") from error
    stored, warned = set(), {}
    for item in found.items(0x0008_1199):
        uid = _only(item, 0x0008_1155)
        stored.add(uid)
        if warning := _only(item, 0x0008_1196):
            warned[uid] = int(warning)
    failed = {
        _only(item, 0x0008_1155): int(_only(item, 0x0008_1197) or 0)
        for item in found.items(0x0008_1198)
    }
    return StoreAnswer(frozenset(stored), failed, warned, len(found.items(0x0008_119A)))


def _only(elements: ElementSet, tag: int) -> str:
    return next(iter(elements.texts(tag)), "")
