"""All stored datasets, read again at a bounded rate and compared with their digests.

That takes days where an archive is large, so it goes on where it was interrupted: its progress lies
in a file. The index hands out instances in an order of its own; where the check has come to is told
by the instances that it has read last, several of them, for some may be deleted meanwhile.
"""

import json
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final

import anyio
from attrs import asdict, define, field

from pacs_core.archive.damage import damage, report_damage
from pacs_core.archive.pacing import Pace, ReadPace
from pacs_core.archive.recall import has_object, is_online
from pacs_core.contracts import (
    AuditTrail,
    Difference,
    DifferenceKind,
    Index,
    Level,
    ObjectStore,
    Origin,
    Query,
    StoredInstance,
)

# Theory of operation
#
# The check walks over the index, not over the store: what is served must be right. Reading is
# slowed down to a rate, so it may take days, and is therefore resumable. The index promises an
# order that stays the same, but no position that could be kept. So the keys of some objects that
# were read are kept as marks, the last one up to date. To resume, instances are passed over until
# the last mark has gone by. If it never does, it was deleted meanwhile: the walk is done again with
# the marks that did appear, of which the last is the place to go on from.
#
# An instance that looks damaged is reported only if it is still served from that object. It may
# have been deleted or replaced while it was read, and then nothing is wrong.

_log = logging.getLogger(__name__)

ORIGIN: Final = Origin("verify")
MARKS: Final = 32
SAVE_EVERY: Final = 2.0
"""Seconds of work that an abrupt end may cost."""


@define
class CheckProgress:
    """How far a check has come.

    Attributes
    ----------
    checked, unchecked : int
        Instances that were read, and those that were not: no digest is known, or they are not
        online.
    size : int
        Bytes of the objects that were read.
    damaged : list of str
        Object keys.
    marks : list of str
        Keys of objects that were read; the last one last.
    """

    checked: int = 0
    unchecked: int = 0
    size: int = 0
    damaged: list[str] = field(factory=list)
    marks: list[str] = field(factory=list)

    @classmethod
    def load(cls, path: Path) -> "CheckProgress":
        """Read what an interrupted check has left; a new one if there is nothing of use."""
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            loaded = cls(**found)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, TypeError) as error:
            _log.warning("%s cannot be read, the check begins anew: %s", path, error)
            return cls()
        return loaded

    def save(self, path: Path) -> None:
        """Write it to a file, at once or not at all."""
        draft = path.with_suffix(".new")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        draft.replace(path)


@define
class ContentCheck:
    """Reads all that the index has, and compares it.

    Attributes
    ----------
    store : ObjectStore
    index : Index
    audit : AuditTrail
        Told of what is damaged.
    path : Path
        Where progress is kept until the check is done.
    rate : float
        Bytes per second; 0 for as many as the disk gives.
    """

    store: ObjectStore
    index: Index
    audit: AuditTrail
    path: Path
    rate: float = 0.0
    progress: CheckProgress = field(factory=CheckProgress)
    _saved: float = 0.0

    def resume(self) -> bool:
        """Go on where a check was interrupted; tell whether there was one."""
        self.progress = CheckProgress.load(self.path)
        return bool(self.progress.marks)

    async def run(self, advance: Callable[[int], None]) -> AsyncGenerator[Difference, None]:
        """Check what has not been checked; yields what is damaged, after each instance a step.

        Raises
        ------
        OSError
            Progress cannot be written.
        """
        pace = ReadPace(self.rate)
        async with aclosing(self._iterate_remaining()) as remaining:
            try:
                async for instance in remaining:
                    difference = await self._check(instance, pace)
                    if difference is not None:
                        yield difference
                    advance(1)
                    self._mark(instance)
            except BaseException:
                self.progress.save(self.path)
                raise
        with suppress(FileNotFoundError):
            self.path.unlink()

    def _mark(self, instance: StoredInstance) -> None:
        now = anyio.current_time()
        marks = self.progress.marks
        if marks and now - self._saved < SAVE_EVERY:
            marks[-1] = instance.key
            return
        self.progress.marks = [*marks, instance.key][-MARKS:]
        self.progress.save(self.path)
        self._saved = now

    async def _iterate_remaining(self) -> AsyncGenerator[StoredInstance, None]:
        """Iterate over the instances after the last mark that is still there."""
        marks = list(self.progress.marks)
        while True:
            last, seen = marks[-1] if marks else "", set[str]()
            async with aclosing(self._instances()) as instances:
                async for instance in instances:
                    if not last:
                        yield instance
                    elif instance.key == last:
                        last = ""
                    elif instance.key in marks:
                        seen.add(instance.key)
            if not last:
                return
            marks = [mark for mark in marks if mark in seen]

    async def _instances(self) -> AsyncGenerator[StoredInstance, None]:
        async for instance in self.index.instances(Query(Level.IMAGE)):
            yield instance

    async def _check(self, instance: StoredInstance, pace: ReadPace) -> Difference | None:
        if not instance.digest or not await is_online(self.store, instance.key):
            self.progress.unchecked += 1
            return None
        uid = instance.identity.sop_instance_uid
        try:
            reason = await examine(self.store, self.index, self.audit, instance, ORIGIN, pace)
        except OSError as error:
            return Difference(DifferenceKind.UNREADABLE, instance.key, uid, str(error))
        self.progress.checked += 1
        self.progress.size += instance.size
        if not reason:
            return None
        self.progress.damaged.append(instance.key)
        return Difference(DifferenceKind.DAMAGED, instance.key, uid, reason)


async def examine(
    store: ObjectStore,
    index: Index,
    audit: AuditTrail,
    instance: StoredInstance,
    origin: Origin,
    pace: Pace | None = None,
) -> str:
    """Read an instance whole, and report if it is damaged, see :meth:`Archive.examine`."""
    reason = await damage(store, instance, pace)
    # It may have been deleted or replaced meanwhile: then nothing is wrong.
    if not reason or await index.locate(instance.identity.path) != instance:
        return ""
    # A row whose object is gone is told of by those who compare index and store.
    if not await has_object(store, instance.key):
        return ""
    await report_damage(audit, instance, reason, origin)
    return reason
