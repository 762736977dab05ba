"""A bucket: what is done to an object by name, again until it is certain what became of it."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import md5, sha256
from typing import Any, Final
from uuid import uuid4

import anyio
from attrs import frozen

from pacs_store_cloud.attempts import MangledError, attempt
from pacs_store_cloud.clients import Clients

_log = logging.getLogger(__name__)

# Theory of operation
#
# A name is taken by a conditional request, If-None-Match: *, so that of all that want it exactly
# one gets it, wherever they are. Such a request may succeed though its answer is lost; when it is
# tried again, the name is taken: by us. So each object brings a token of its own in its metadata,
# and whoever finds a name taken looks whose token is there.
#
# Checksums go with what is sent, and the server verifies them (S3). It says what it has stored by
# an ETag, which may be an MD5, unless it encrypts by a key of somebody's: the first object that is
# stored tells, and then each ETag is compared as well. Where a service can do neither, the object
# is read back before it counts. The SHA-256 of an
# object is kept in its metadata, and what is read whole is compared with it.

TOKEN: Final = "pacstoken"  # noqa: S105 - a name
DIGEST: Final = "pacssha256"
_PAGE: Final = 1000


@frozen
class Found:
    """What a bucket tells of an object.

    Attributes
    ----------
    name : str
    size : int
    tag : str
        ETag, as the service writes it in answers about the object.
    digest : str
        SHA-256 in hexadecimal digits; empty if it is not known.
    token : str
    """

    name: str
    size: int
    tag: str
    digest: str = ""
    token: str = ""

    @property
    def identity(self) -> str:
        """The ETag in one form: listings of Azure leave out the quotes."""
        return self.tag.removeprefix("W/").strip('"')


class Bucket:
    """A bucket or container.

    Parameters
    ----------
    connect : callable
        Makes the clients; called when the store starts.
    title : str
        For messages.
    deadline : float
        Seconds for each operation, with all its attempts.
    read_back : bool
        Whether new objects are read again before they count, unless their ETags are compared.

    Attributes
    ----------
    tags_are_md5 : bool
        Whether ETags of objects that were put at once are their MD5.
    """

    def __init__(
        self, connect: Callable[[], Clients], title: str, deadline: float, *, read_back: bool
    ) -> None:
        self._connect = connect
        self.title = title
        self.deadline = deadline
        self.read_back = read_back
        self.tags_are_md5 = False

    def connect(self) -> None:
        """Make the clients; nothing is sent yet.

        Raises
        ------
        LookupError
            A secret is not there.
        ValueError
            The library refuses a setting.
        """
        self.clients = self._connect()

    async def put_new(self, name: str, content: bytes, digest: str = "") -> Found:
        """Store an object at once, unless its name is taken.

        Raises
        ------
        AlreadyExistsError
            Of the library: the name is taken.
        BucketError
            It could not be stored in time.
        """
        digest = digest or sha256(content).hexdigest()
        token = uuid4().hex

        async def put() -> Found:
            found = await self._put_once(name, content, {TOKEN: token, DIGEST: digest})
            if await self._arrived_whole(found, content):
                return found
            # The name is ours: nobody else could take it, and nobody was told of it.
            await self.clients.patient.delete_async(name)
            raise MangledError(f"{name} arrived damaged")

        return await attempt(f"{self.title}: storing {name}", put, self.deadline)

    async def _put_once(self, name: str, content: bytes, attributes: dict[str, str]) -> Found:
        from obstore.exceptions import AlreadyExistsError

        try:
            # Whoever is cancelled meanwhile hears of it when it is certain what became of the
            # request: else the object could appear later.
            with anyio.CancelScope(shield=True):
                result = await self.clients.plain.put_async(
                    name, content, mode="create", attributes=attributes, use_multipart=False
                )
        except AlreadyExistsError:
            try:
                found = await self.head_once(name)
            except FileNotFoundError:
                raise MangledError(f"{name} was taken, and is gone") from None
            if found.token != attributes[TOKEN]:
                raise
            return found
        tag = result["e_tag"] or ""
        return Found(name, len(content), tag, attributes[DIGEST], attributes[TOKEN])

    async def _arrived_whole(self, found: Found, content: bytes) -> bool:
        if found.size != len(content):
            return False
        if self.tags_are_md5:
            return found.identity == md5_of(content)
        if not self.read_back:
            return True
        result = await self.clients.patient.get_async(found.name)
        return bytes(await result.bytes_async()) == content

    async def head(self, name: str) -> Found:
        """Return what is known of an object; FileNotFoundError if there is none."""
        return await attempt(
            f"{self.title}: looking for {name}", lambda: self.head_once(name), self.deadline
        )

    async def head_once(self, name: str) -> Found:
        """Do the same in one attempt."""
        result = await self.clients.patient.get_async(name, options={"head": True})
        return _found(result.meta, result.attributes)

    async def get(
        self, name: str, start: int, end: int, tag: str = "", *, unless: str = ""
    ) -> tuple[Found, bytes]:
        """Return a range of an object, less what lies behind its end.

        Parameters
        ----------
        name : str
        start, end : int
        tag : str
            That the object must have.
        unless : str
            The tag of an object that is not wanted.

        Raises
        ------
        FileNotFoundError
            There is no such object.
        NotModifiedError
            Of the library: it has the tag of `unless`.
        PreconditionError
            Of the library: it has another tag.
        BucketError
            It could not be read in time.
        """

        async def get() -> tuple[Found, bytes]:
            options: dict[str, Any] = {"range": (start, end)}
            if tag:
                options["if_match"] = tag
            if unless:
                options["if_none_match"] = unless
            try:
                result = await self.clients.patient.get_async(name, options=options)  # type: ignore[arg-type]
            except Exception as error:
                if "416 Range" not in str(error):
                    raise
                found = await self.head_once(name)
                if found.size > start:
                    raise MangledError(
                        f"{name} has {found.size} bytes, and then has not"
                    ) from error
                return found, b""  # nothing lies there
            data = bytes(await result.bytes_async())
            found = _found(result.meta, result.attributes)
            if len(data) != max(0, min(end, found.size) - start):
                raise MangledError(f"{len(data)} bytes of {name} came, other than asked for")
            return found, data

        return await attempt(f"{self.title}: reading {name}", get, self.deadline)

    async def delete(self, name: str) -> None:
        """Remove an object; FileNotFoundError if there is none."""
        tried = 0

        async def delete() -> None:
            nonlocal tried
            tried += 1
            try:
                await self.head_once(name)
                await self.clients.patient.delete_async(name)
            except FileNotFoundError:
                if tried == 1:
                    raise

        await attempt(f"{self.title}: deleting {name}", delete, self.deadline)

    async def discard(self, name: str) -> None:
        """Remove what nobody was told of, if that can be done at once; also when cancelled."""
        with anyio.move_on_after(5, shield=True):
            try:
                await self.clients.patient.delete_async(name)
            except Exception as error:  # it stays until leftovers are removed
                _log.debug("%s stays in %s: %s", name, self.title, error)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Found]:
        """Iterate over the objects in a directory, and below it, in the order of their names.

        Raises
        ------
        BucketError
            The rest could not be listed in time.
        """
        last = after
        stream = self._stream(prefix, last)

        async def turn() -> Any:
            nonlocal stream
            try:
                return await anext(stream)
            except StopAsyncIteration:
                return None
            except Exception:
                stream = self._stream(prefix, last)
                raise

        while (page := await attempt(f"{self.title}: listing", turn, self.deadline)) is not None:
            for meta in page:
                last = meta["path"]
                yield _found(meta, {})

    def _stream(self, prefix: str, after: str) -> Any:
        patient = self.clients.patient
        return patient.list(prefix or None, offset=after or None, chunk_size=_PAGE).__aiter__()

    async def has_same(self, name: str, digest: str, size: int) -> bool:
        """Tell whether an object has this content; it is read, unless it says so itself."""
        found = await self.head(name)
        if found.size != size:
            return False
        if found.digest:
            return found.digest == digest
        total, position = sha256(), 0
        while position < size:
            _, data = await self.get(name, position, position + 4 * 1024 * 1024, found.tag)
            if not data:
                return False
            await anyio.to_thread.run_sync(total.update, data)
            position += len(data)
        return total.hexdigest() == digest


def md5_of(content: bytes) -> str:
    """Return what an ETag may be."""
    return md5(content, usedforsecurity=False).hexdigest()


def _found(meta: Any, attributes: Mapping[Any, Any]) -> Found:
    return Found(
        meta["path"],
        meta["size"],
        meta["e_tag"] or "",
        str(attributes.get(DIGEST, "")),
        str(attributes.get(TOKEN, "")),
    )
