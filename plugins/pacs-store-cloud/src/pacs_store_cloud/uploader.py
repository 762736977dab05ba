"""The uploads of a spool: again and again, until all of it is where it is to stay."""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, suppress
from hashlib import sha256
from typing import Any, Final, cast

import anyio
from anyio import CapacityLimiter

from pacs_core.contracts import (
    NotOnlineError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStore,
    StoredObject,
)
from pacs_store_cloud.errors import BucketError, describe
from pacs_store_cloud.key_locks import KeyLocks, LockedError

_log = logging.getLogger(__name__)

# Theory of operation
#
# One process of the node uploads: the one that has the lock of the leader. All of them look through
# the spool once a second, because they must know how full it is; and any may upload a single object
# that is waited for.
#
# An object whose key is taken in the target is uploaded already, if the content is the same: by us,
# before a crash. Else it is stuck: it stays in the spool, and is read from there. Each failure but
# that means that the target is away: all wait, longer each time.

_LOOK: Final = 1.0
"""Seconds between two looks through the spool."""
_LONGEST_PAUSE: Final = 60.0


class Uploader:
    """Uploads what is in a spool, and removes it from there after a while.

    Parameters
    ----------
    spool, target : ObjectStore
    locks : KeyLocks
    name : str
        For messages.
    concurrency : int
        Uploads at once.
    grace : float
        Seconds that an object stays in the spool after its upload.

    Attributes
    ----------
    used : int
        Bytes in the spool.
    waiting : int
        Bytes that are not uploaded, as far as this process knows.
    stuck : set of str
        Keys that the target has with other content.
    is_away : bool
        Whether the target did not answer when something was last uploaded.
    """

    def __init__(
        self,
        spool: ObjectStore,
        target: ObjectStore,
        locks: KeyLocks,
        name: str,
        concurrency: int,
        grace: float,
    ) -> None:
        self.used = 0
        self.waiting = 0
        self.stuck: set[str] = set()
        self.is_away = False
        self._spool = spool
        self._target = target
        self._locks = locks
        self._name = name
        self._concurrency = concurrency
        self._grace = grace
        self._uploaded: dict[str, str] = {}
        # When what was uploaded is removed from the spool, in order.
        self._due: deque[tuple[float, str, int]] = deque()
        self._leader: int | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Count what is in the spool, and begin to upload it."""
        async for _ in self._count():
            pass
        if self.used:
            _log.info("%s: %d bytes in the spool are to be uploaded", self._name, self.used)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop uploading."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._leader is not None:
            os.close(self._leader)
            self._leader = None

    def add(self, size: int) -> None:
        """Tell of an object that has come into the spool."""
        self.used += size
        self.waiting += size

    def forget(self, key: str) -> None:
        """Tell of an object that was deleted; its lock is held."""
        self._uploaded.pop(key, None)
        self.stuck.discard(key)

    async def upload_now(self, key: str) -> None:
        """Return once an object is in the target, or not in the spool.

        Raises
        ------
        OSError
            It cannot be brought there.
        """
        while True:
            try:
                if await self._upload(key):
                    return
            except LockedError:
                await anyio.sleep(0.05)
                continue
            raise OSError(f"another object has the key {key} in the target")

    async def _run(self) -> None:
        pause = _LOOK
        while True:
            try:
                await self._look()
            except Exception as error:
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._report_away(first_reason(error))
            else:
                pause = _LOOK
                self._report_back()
            await anyio.sleep(pause)

    async def _look(self) -> None:
        """Go through the spool once."""
        if self._leader is None:
            self._leader = self._locks.lead()
        leading = self._leader is not None
        limiter = CapacityLimiter(self._concurrency)
        async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
            counted = await stack.enter_async_context(aclosing(self._count()))
            async for stored in counted:
                if leading and stored.key not in self.stuck | self._uploaded.keys():
                    await limiter.acquire_on_behalf_of(stored.key)
                    tasks.start_soon(self._advance, stored.key, limiter)
                await self._remove_due()
        await self._remove_due()

    async def _remove_due(self) -> None:
        """Remove what was uploaded long enough ago."""
        while self._due and self._due[0][0] <= time.monotonic():
            _, key, size = self._due.popleft()
            try:
                await self._remove(key, size)
            except LockedError:
                self._uploaded.pop(key, None)  # to be looked at again

    async def _count(self) -> AsyncGenerator[StoredObject, None]:
        """Iterate over the spool, and know afterwards what is in it."""
        used = waiting = 0
        seen: set[str] = set()
        before = self.used
        async with aclosing(cast(Any, self._spool.objects())) as found:
            async for stored in found:
                used += stored.size
                seen.add(stored.key)
                waiting += stored.size if stored.key not in self._uploaded else 0
                yield stored
        # What has come meanwhile may be counted twice, until the next look.
        self.used = used + max(0, self.used - before)
        self.waiting = waiting
        self._uploaded = {key: self._uploaded[key] for key in self._uploaded if key in seen}

    async def _advance(self, key: str, limiter: CapacityLimiter) -> None:
        try:
            await self._upload(key)
        except LockedError:
            pass  # it is uploaded, or deleted, by somebody else
        except (BucketError, NotOnlineError):
            raise
        except Exception as error:
            # This one alone: the others go on.
            self.stuck.add(key)
            _log.error("%s: %s stays in the spool: %s", self._name, key, describe(error))
        finally:
            limiter.release_on_behalf_of(key)

    async def _upload(self, key: str) -> bool:
        """Upload an object, unless it is not there; tell whether the target has it now."""
        async with self._locks.hold(key):
            try:
                reader = await self._spool.open(key)
            except ObjectNotFoundError:
                return True
            if key in self._uploaded:
                if self._uploaded[key] == await _digest_of(self._spool, key):
                    await reader.close()
                    return True
                del self._uploaded[key]  # another one has taken its place since
            digest = sha256()
            async with reader, self._target.writer_at(key) as writer:
                async for chunk in reader.chunks():
                    digest.update(chunk)
                    await writer.write([chunk])
                try:
                    await writer.commit()
                except ObjectExistsError:
                    if await _digest_of(self._target, key) != digest.hexdigest():
                        self._report_stuck(key)
                        return False
            self._uploaded[key] = digest.hexdigest()
            self.waiting -= reader.size
            self._due.append((time.monotonic() + self._grace, key, reader.size))
            return True

    async def _remove(self, key: str, size: int) -> None:
        """Remove an object from the spool, if it is the one that was uploaded."""
        async with self._locks.hold(key):
            uploaded = self._uploaded.pop(key, "")
            with suppress(ObjectNotFoundError):
                if await _digest_of(self._spool, key) == uploaded:
                    await self._spool.delete(key)
                    self.used -= size

    def _report_stuck(self, key: str) -> None:
        self.stuck.add(key)
        _log.error(
            "%s: another object has the key %s in the target: the one in the spool stays there, "
            "and is the one that this node reads",
            self._name,
            key,
        )

    def _report_away(self, reason: str) -> None:
        if not self.is_away:
            self.is_away = True
            _log.warning(
                "%s: %d bytes wait in the spool, because they cannot be uploaded: %s",
                self._name,
                self.waiting,
                reason,
            )

    def _report_back(self) -> None:
        if self.is_away:
            self.is_away = False
            _log.info("%s: objects are uploaded again", self._name)


def first_reason(error: BaseException) -> str:
    """Return what the first of perhaps several errors says."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error)


async def _digest_of(store: ObjectStore, key: str) -> str:
    digest = sha256()
    async with await store.open(key) as reader:
        async for chunk in reader.chunks():
            digest.update(chunk)
    return digest.hexdigest()
