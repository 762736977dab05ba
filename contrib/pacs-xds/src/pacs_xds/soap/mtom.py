"""Packages of MTOM: an envelope, and the documents that it includes (XOP, RFC 2387).

Theory of operation
-------------------
A package is written while it is sent, and of any size. One that is read is split as it arrives: the
envelope is held, and may have :attr:`PackageLimits.root` bytes; documents go to disk, each into a
file without a name, so that they may come in any order, also before the envelope, and none is
handed on before the whole package is there.
"""

import re
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote
from uuid import uuid4

import anyio
from attrs import define, field, frozen
from pacs_core.api.streams import closing
from pacs_dicomweb.api import MalformedMultipart, Part, Splitter, SplitterLimits, split
from pacs_web.api.media_types import media_type
from pacs_web.api.multipart_writing import OutgoingPart

from pacs_xds.soap.xml import XOP, Element, element, find_all

SOAP_XML: Final = "application/soap+xml"
XOP_XML: Final = "application/xop+xml"

_ROOT_TYPE: Final = f'{XOP_XML}; charset=UTF-8; type="{SOAP_XML}"'
_ADDRESS: Final = re.compile(r"^cid:(.+)$", re.IGNORECASE)
_ENCODINGS: Final = frozenset({"", "binary", "8bit", "7bit"})


class MalformedPackage(ValueError):  # noqa: N818
    """A body is no package that is taken here; says why.

    Attributes
    ----------
    status : int
        Of HTTP: 400, 413 if it is too large, 415 if it is something else.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@frozen
class PackageLimits:
    """How large a package may be.

    Attributes
    ----------
    root : int
        Bytes of the envelope.
    document : int
        Bytes of each document.
    total : int
        Bytes of all documents.
    parts : int
    """

    root: int = 16 << 20
    document: int = 4 << 30
    total: int = 64 << 30
    parts: int = 20_000


@define
class Package:
    """A package that was read.

    Attributes
    ----------
    root : bytes
        The envelope.
    documents : mapping of str to file
        By Content-ID, without brackets.
    sizes : mapping of str to int
    """

    root: bytes = b""
    documents: dict[str, IO[bytes]] = field(factory=dict)
    sizes: dict[str, int] = field(factory=dict)


def new_content_id() -> str:
    """Return a Content-ID, which looks like an address (RFC 2392)."""
    return f"{uuid4()}@pacs.invalid"


def include(content_id: str) -> Element:
    """Return the element that stands for a document."""
    return element(XOP, "Include", href=f"cid:{content_id}")


def package_type(boundary: str, start: str, action: str) -> str:
    """Return the Content-Type of a package (RFC 2387 §3, XOP §4.1)."""
    return (
        f'multipart/related; type="{XOP_XML}"; boundary="{boundary}"; start="<{start}>"; '
        f'start-info="{SOAP_XML}"; action="{action}"'
    )


def root_part(envelope: bytes, content_id: str) -> OutgoingPart:
    """Return the part of the envelope."""
    return OutgoingPart(_ROOT_TYPE, envelope, content_id=content_id)


@asynccontextmanager
async def read_package(
    content_type: str, body: AsyncIterable[bytes], limits: PackageLimits, directory: Path | None
) -> AsyncIterator[Package]:
    """Read a package, or an envelope alone, for an ``async with`` block.

    Parameters
    ----------
    content_type : str
    body : async iterable of bytes
    limits : PackageLimits
    directory : Path or None
        Where documents are kept meanwhile; None for where the system has temporary files.

    Raises
    ------
    MalformedPackage
    """
    kind = media_type(content_type)
    package = Package()
    try:
        if kind is not None and kind.name == SOAP_XML:
            package.root = await _read_all(body, limits.root, "the message")
        elif kind is not None and kind.name == "multipart/related":
            await _read_parts(package, kind.parameters, body, limits, directory)
        else:
            shown = content_type[:80] or "none"
            raise MalformedPackage(
                f"the Content-Type is {shown!r}: send {SOAP_XML}, or multipart/related of "
                f"{XOP_XML}",
                415,
            )
        yield package
    finally:
        for file in package.documents.values():
            file.close()


async def _read_parts(
    package: Package,
    parameters: Mapping[str, str],
    body: AsyncIterable[bytes],
    limits: PackageLimits,
    directory: Path | None,
) -> None:
    start = _bare(parameters.get("start", ""))
    try:
        splitter = Splitter(parameters.get("boundary", ""), SplitterLimits(parts=limits.parts))
        left, has_root = limits.total, False
        async with closing(split(body, splitter)) as parts:
            async for part in parts:
                content_id = _bare(part.headers.get("content-id", ""))
                # Without `start` the first part is the root (RFC 2387 §3.2); one without a
                # Content-ID, as some write it, can be nothing else.
                if not has_root and (not start or content_id in {start, ""}):
                    _check_root(part)
                    package.root = await _read_all(part, limits.root, "the envelope")
                    has_root = True
                    continue
                left -= await _keep(
                    package, part, content_id, min(limits.document, left), directory
                )
    except MalformedMultipart as error:
        raise MalformedPackage(f"the package is malformed: {error}") from error
    if not has_root:
        raise MalformedPackage(f"no part of the package is its root, <{start[:80]}>")


def _check_root(part: Part) -> None:
    kind = media_type(part.headers.get("content-type", ""))
    if kind is None or kind.name not in {XOP_XML, SOAP_XML}:
        raise MalformedPackage(f"the root of the package is not {XOP_XML} (XOP §4.1)", 415)
    if part.headers.get("content-transfer-encoding", "").lower() not in _ENCODINGS:
        raise MalformedPackage("the root of the package has a Content-Transfer-Encoding")


async def _keep(
    package: Package, part: Part, content_id: str, limit: int, directory: Path | None
) -> int:
    """Write a document into a file, and return its size."""
    if not content_id or content_id in package.documents:
        what = f"the Content-ID {content_id[:80]!r} of another" if content_id else "no Content-ID"
        raise MalformedPackage(f"a part of the package has {what}")
    if part.headers.get("content-transfer-encoding", "").lower() not in _ENCODINGS:
        raise MalformedPackage(f"the part {content_id[:80]} is not sent in binary (XOP §4.1)")
    file = await anyio.to_thread.run_sync(_new_file, directory)
    package.documents[content_id] = file
    size = 0
    async for piece in part:
        size += len(piece)
        if size > limit:
            raise MalformedPackage(f"the part {content_id[:80]} has more than {limit} bytes", 413)
        await anyio.to_thread.run_sync(file.write, piece)
    await anyio.to_thread.run_sync(file.seek, 0)
    package.sizes[content_id] = size
    return size


def _new_file(directory: Path | None) -> IO[bytes]:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=directory)


async def _read_all(body: AsyncIterable[bytes], limit: int, what: str) -> bytes:
    pieces, size = [], 0
    async for piece in body:
        size += len(piece)
        if size > limit:
            raise MalformedPackage(f"{what} has more than {limit} bytes", 413)
        pieces.append(piece)
    return b"".join(pieces)


def _bare(content_id: str) -> str:
    """Return a Content-ID without brackets and escapes; some have none in `start`, others here."""
    return unquote(content_id.strip().removeprefix("<").removesuffix(">"))


def included(holder: Element) -> str | None:
    """Return the Content-ID of the document that an element includes; None if it includes none.

    Raises
    ------
    MalformedPackage
        It refers to something else than a part of the package (XOP §2.1).
    """
    for found in find_all(holder, XOP, "Include"):
        address = _ADDRESS.match((found.get("href") or "").strip())
        if address is None:
            raise MalformedPackage("an xop:Include does not refer to a part of the package")
        return unquote(address[1])
    return None
