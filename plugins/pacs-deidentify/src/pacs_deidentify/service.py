"""De-identifier of the node: processes that do the work, and the key that it is done with."""

import json
import os
import pickle
import secrets
import shutil
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from attrs import evolve

from pacs_core.api.files import file_chunks
from pacs_core.api.workers import Worker, WorkerDiedError, WorkerPool, WorkerTimeoutError
from pacs_core.contracts import (
    DeidentificationRefusedError,
    DeidentifiedInstance,
    Deidentifier,
    PassThrough,
    PluginInfo,
    Transcoder,
)
from pacs_deidentify.config import BASIC, DeidentifyConfig

if TYPE_CHECKING:
    from pacs_deidentify.worker import Request

# Theory of operation
#
# pydicom, which reads datasets whole, gets what anybody may have sent: in a process of its own,
# which has a limited memory, and is killed if it takes too long or its client leaves. Both files
# are in a folder that is the plugin's own and for its user only. It is removed when the answer is
# sent; what a node that was killed has left is removed when the next one starts.

_ANSWER: Final = 1 << 20
_NO_CODECS: Final = PassThrough()


class ProcessDeidentifier(Deidentifier):
    """De-identifies in other processes.

    Parameters
    ----------
    plugin : PluginInfo
    config : DeidentifyConfig
    processes : int
        How many at once.
    timeout : float
        Seconds for an instance; then its process is killed.
    transcoder : Transcoder
        Makes compressed pixels native, that they can be blanked, and compresses them again.

    Attributes
    ----------
    pool : WorkerPool
    """

    def __init__(
        self,
        plugin: PluginInfo,
        config: DeidentifyConfig,
        processes: int = 2,
        timeout: float = 300,
        transcoder: Transcoder = _NO_CODECS,
    ) -> None:
        self.directory: Path = plugin.directory
        self._config = config
        self._transcoder = transcoder
        self._work = plugin.directory / "work" / str(os.getpid())
        self.pool = WorkerPool("pacs_deidentify.worker", processes=processes, timeout=timeout)
        self._key = b""

    @property
    def profiles(self) -> frozenset[str]:
        """See base."""
        return frozenset([BASIC, *self._config.profiles])

    async def start(self) -> None:
        """Take the key, if one is configured; remove what a killed node has left."""
        if self._config.key:
            self._key = self._config.key.reveal().encode()
            await anyio.to_thread.run_sync(self._make_request, self._work, "")
        await anyio.to_thread.run_sync(self._remove_leftovers)

    async def stop(self) -> None:
        """End the processes."""
        await self.pool.stop()
        await anyio.to_thread.run_sync(partial(shutil.rmtree, self._work, ignore_errors=True))

    @asynccontextmanager
    async def deidentify(
        self, content: AsyncIterable[bytes | memoryview], profile: str = ""
    ) -> AsyncIterator[DeidentifiedInstance]:
        """See base."""
        chosen = profile or self._config.profile
        if chosen not in self.profiles:
            raise LookupError(f"there is no profile {profile!r} for de-identification")
        folder = self._work / secrets.token_hex(8)
        try:
            await anyio.to_thread.run_sync(self._prepare, folder)
            request = await anyio.to_thread.run_sync(self._make_request, folder, chosen)
            await self._spool(content, folder / "in")
            found = await self._ask(request)
            if "compressed" in found:
                found = await self._deidentify_compressed(folder, request)
            yield DeidentifiedInstance(
                sop_class_uid=str(found["sop_class_uid"]),
                sop_instance_uid=str(found["sop_instance_uid"]),
                transfer_syntax_uid=str(found["transfer_syntax_uid"]),
                size=(await anyio.Path(folder / "out").stat()).st_size,
                dataset_offset=int(found["dataset_offset"]),
                read=partial(file_chunks, folder / "out"),
                warnings=tuple(map(str, found["warnings"])),
            )
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))

    def _remove_leftovers(self) -> None:
        folder = self._work.parent
        for left in folder.iterdir() if folder.exists() else ():
            if not left.name.isdecimal() or not _is_running(int(left.name)):
                shutil.rmtree(left, ignore_errors=True)

    def _prepare(self, folder: Path) -> None:
        """Make a folder for an instance, and the key of the node if there is none yet."""
        folder.mkdir(0o700, parents=True)
        if not self._key:
            self._key = _own_key(self.directory / "key")

    def _make_request(self, folder: Path, profile: str) -> "Request":
        """Return what a process is to do; in a thread, for this brings pydicom."""
        from pacs_deidentify.profiles import make_profile
        from pacs_deidentify.worker import Request

        made = make_profile(self._config, profile, self._key)
        return Request(folder / "in", folder / "out", made)

    async def _spool(self, content: AsyncIterable[bytes | memoryview], path: Path) -> None:
        async with await anyio.open_file(path, "xb") as out:
            async for piece in content:
                await out.write(piece)

    async def _deidentify_compressed(self, folder: Path, request: "Request") -> dict[str, Any]:
        from pacs_deidentify.errors import DeidentificationError
        from pacs_deidentify.recompression import compress_again, make_native, read_meta

        native, made = folder / "native", folder / "made"
        try:
            syntax = await make_native(self._transcoder, request.source, native)
            found = await self._ask(evolve(request, source=native, target=made))
            wanted = request.profile.blanked_syntax
            request.target.unlink()
            with request.target.open("xb") as out:
                await compress_again(self._transcoder, made, syntax, wanted, out.write)
            meta = await read_meta(request.target)
        except DeidentificationError as error:
            raise DeidentificationRefusedError(str(error)) from error
        return found | {
            "transfer_syntax_uid": meta.transfer_syntax_uid,
            "dataset_offset": meta.dataset_offset,
        }

    async def _ask(self, request: "Request") -> dict[str, Any]:
        try:
            async with self.pool.lend() as worker:
                found = await _exchange(worker, request)
        except WorkerTimeoutError as error:
            raise DeidentificationRefusedError(f"{error} to de-identify") from None
        except (WorkerDiedError, ValueError):
            raise DeidentificationRefusedError(
                "the process that was to de-identify it has died of it"
            ) from None
        if "refused" in found:
            raise DeidentificationRefusedError(str(found["refused"]))
        return found


async def _exchange(worker: Worker, request: "Request") -> dict[str, Any]:
    from pacs_deidentify.worker import HEAD

    data = pickle.dumps(request, pickle.HIGHEST_PROTOCOL)
    await worker.send(HEAD.pack(len(data)) + data)
    found = json.loads(await worker.receive_line(_ANSWER))
    if not isinstance(found, dict):
        raise TypeError("an answer is an object")
    return found


def _own_key(path: Path) -> bytes:
    """Return the key that the node keeps, which is made once; several processes may start at once.

    A link puts it in place, which fails if there is one already.
    """
    draft = path.with_name(f"key.{secrets.token_hex(4)}")
    if not path.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32))
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes().strip()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
