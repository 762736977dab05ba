"""A folder of backups copied to a bucket, and back.

Theory of operation
-------------------
Contents have their digests as names and never change, so that to copy is to add what is missing.
They go first and lists last: whatever is killed in between, a list in the bucket names only what is
there. Back they come the same way, each content held against its digest before it has a name.

Addresses are those of obstore: ``s3://bucket/prefix``, ``gs://…``, ``az://…``. Who asks is said by
the environment, as for any other program (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` and so on).
"""

import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
from attrs import define

from pacs_backup.repository import BackupError, Repository, first_error

T = TypeVar("T")

_AT_ONCE: Final = 8
_RETRIES: Final[Any] = {"max_retries": 5, "retry_timeout": timedelta(minutes=2)}


@define
class Bucket:
    """Where a folder of backups is copied to.

    Attributes
    ----------
    url : str
    copied, known, deleted : int
        Files that were copied, that were there already, and that were deleted.
    """

    url: str
    copied: int = 0
    known: int = 0
    deleted: int = 0
    _store: Any = None

    async def push(self, repository: Repository, *, delete: bool) -> None:
        """Copy a folder to the bucket; with `delete`, take away there what is not here.

        Raises
        ------
        BackupError
            The service refuses, or is away.
        """
        there = await self._list()
        lists = {f"backups/{name}.jsonl": repository.list_of(name) for name in repository.names}
        contents = {
            f"contents/{path.parent.name}/{path.name}": path
            for path in repository.files()
            if path.parent.parent.name == "contents"
        }
        for files in (contents, lists):
            missing = []
            for key, path in files.items():
                if there.get(key) == path.stat().st_size:
                    self.known += 1
                else:
                    missing.append((key, path))
            await _each(missing, self._upload)
        if delete:
            # Lists before the contents that they name.
            for key in sorted(there.keys() - lists.keys() - contents.keys()):
                await self._ask(lambda key=key: self._store.delete_async(key))  # type: ignore[misc]
                self.deleted += 1

    async def pull(self, repository: Repository) -> None:
        """Copy what the bucket has to a folder.

        Raises
        ------
        BackupError
            The service refuses, is away, or has something that is damaged.
        """
        there = await self._list()
        if not any(key.startswith("backups/") for key in there):
            raise BackupError(f"there is no backup in {self.url}")
        for prefix in ("contents/", "backups/"):
            missing = []
            for key, size in there.items():
                if not key.startswith(prefix):
                    continue
                path = repository.folder / key
                # A name of the service's becomes that of a file.
                if ".." in path.parts or len(Path(key).parts) > 3:
                    raise BackupError(f"{self.url} has something else than backups: {key!r:.80}")
                if path.exists() and path.stat().st_size == size:
                    self.known += 1
                else:
                    missing.append((key, path))
            await _each(missing, self._download)

    async def _upload(self, key: str, path: Path) -> None:
        await self._ask(lambda: self._store.put_async(key, path))
        self.copied += 1

    async def _download(self, key: str, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        digest = hashlib.sha256()
        try:
            async with await anyio.open_file(
                os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as file:
                async for chunk in self._chunks(key):
                    digest.update(chunk)
                    await file.write(chunk)
                await file.flush()
                await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
            if key.startswith("contents/") and digest.hexdigest() != path.name:
                raise BackupError(f"{key} in {self.url} is damaged")
            partial.rename(path)
        finally:
            with suppress(FileNotFoundError):
                partial.unlink()
        self.copied += 1

    async def _chunks(self, key: str) -> AsyncIterator[bytes]:
        answer = await self._ask(lambda: self._store.get_async(key))
        stream = aiter(answer.stream())
        while (chunk := await self._ask(lambda: _next(stream))) is not None:
            yield bytes(chunk)

    async def _list(self) -> dict[str, int]:
        self._store = self._store or _open(self.url)
        found: dict[str, int] = {}

        async def read() -> None:
            async for page in self._store.list():
                found.update({each["path"]: each["size"] for each in page})

        await self._ask(read)
        return found

    async def _ask(self, action: Callable[[], Awaitable[T]]) -> T:
        from obstore.exceptions import BaseError

        try:
            return await action()
        except (BaseError, OSError) as error:
            raise BackupError(f"{self.url}: {str(error).splitlines()[0]:.300}") from error


async def _next(stream: AsyncIterator[Any]) -> Any:
    return await anext(stream, None)


async def _each(
    files: Iterable[tuple[str, Path]], action: Callable[[str, Path], Awaitable[None]]
) -> None:
    waiting = iter(files)

    async def work() -> None:
        # An iterator that never waits: each worker takes the next file.
        for key, path in waiting:
            await action(key, path)

    with first_error():
        async with anyio.create_task_group() as tasks:
            for _ in range(_AT_ONCE):
                tasks.start_soon(work)


def _open(url: str) -> Any:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise BackupError(
            "obstore is not installed, which reaches buckets: pip install 'pacs-backup[cloud]'"
        ) from error
    options: Any = {
        "connect_timeout": timedelta(seconds=10),
        "timeout": timedelta(minutes=10),
        "read_timeout": timedelta(seconds=60),
        # Options given here stand for all of the environment's.
        "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true",
    }
    try:
        return from_url(url, client_options=options, retry_config=_RETRIES)
    except (BaseError, ValueError) as error:
        raise BackupError(f"{url} is no bucket: {str(error).splitlines()[0]:.300}") from error
