"""The service that keeps the list like a folder of ``.wl`` files.

Theory of operation
-------------------
The folder belongs to whoever writes it, as with DCMTK's ``wlmscpfs``: a file that comes is put on
the list, one that changes is read again, one that goes takes its steps off, unless they have been
begun. It is looked at every few seconds, by names, sizes and times.

A file that cannot be read may still be in the making: only when it has stayed as it is for a while
is it set aside, into the folder ``aside`` beside it, with a file that says why. `wlmscpfs` keeps a
folder for each of its AE titles, so the one that is named like this node is read as well.

Who may write the folder need not have the rights of the node. So only regular files are read: a
link would lend its writer what the node may read, and a FIFO never ends. Nothing is written through
a link either, and a file with which nothing can be done holds up no other.
"""

import logging
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from attrs import define, field

from pacs_core.contracts import (
    AuditEvent,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    Service,
    Started,
)
from pacs_sop_worklist.config import WorklistConfig
from pacs_sop_worklist.files import read_steps
from pacs_sop_worklist.interface import Worklist
from pacs_sop_worklist.steps import Step

logger = logging.getLogger(__name__)

SET_ASIDE = PluginAuditKind("sop-worklist.file-set-aside")

_SETTLED: Final = 5.0
"""Seconds after its last change after which a file that cannot be read will never be."""

_MOST_FILES: Final = 100_000

Stamp = tuple[int, int]
"""Size, and time of the last change in nanoseconds."""


@define(eq=False)
class FolderWatch(Service):
    """Watches the folder of the configuration.

    Parameters
    ----------
    node : Node
    folder : Path
    config : WorklistConfig
    """

    node: Node
    folder: Path
    config: WorklistConfig
    _read: dict[Path, Stamp] = field(factory=dict)

    async def run(self, started: Started) -> None:
        """Look into the folder until cancelled."""
        worklist = self.node.find(Worklist)
        await anyio.to_thread.run_sync(lambda: self.folder.mkdir(parents=True, exist_ok=True))
        await self._withdraw_missing(worklist)
        started()
        while True:
            try:
                await self._look(worklist)
            except OSError:
                logger.exception("the folder of the worklist %s cannot be read", self.folder)
            await anyio.sleep(self.config.poll)

    async def _withdraw_missing(self, worklist: Worklist) -> None:
        """Take off what came from files that went while nobody looked."""
        there = await anyio.to_thread.run_sync(lambda: dict(self._files()))
        sources = {listed.source async for listed in worklist.search()}
        for source in sources - {self._source(path) for path in there}:
            if source.startswith("file:"):
                await worklist.withdraw(source)

    async def _look(self, worklist: Worklist) -> None:
        there = await anyio.to_thread.run_sync(lambda: dict(self._files()))
        for path in self._read.keys() - there.keys():
            del self._read[path]
            await worklist.withdraw(self._source(path))
        for path, stamp in there.items():
            if self._read.get(path) != stamp:
                await self._take(worklist, path, stamp)

    async def _take(self, worklist: Worklist, path: Path, stamp: Stamp) -> None:
        source = self._source(path)
        try:
            steps: list[Step] = await anyio.to_thread.run_sync(read_steps, path)
            await worklist.put(steps, source)
        except ValueError as error:  # Unreadable, or longer than an entry may be.
            if time.time() - stamp[1] / 1e9 > _SETTLED:
                await self._set_aside(path, stamp, str(error))
            return
        await worklist.withdraw(source, keep=[step.identity for step in steps])
        self._read[path] = stamp

    async def _set_aside(self, path: Path, stamp: Stamp, reason: str) -> None:
        aside = path.parent / "aside"

        def move() -> None:
            if aside.is_symlink():
                raise NotADirectoryError(f"{aside} is a link")
            aside.mkdir(exist_ok=True)
            target = aside / path.name
            note = target.with_suffix(".wl.txt")
            note.unlink(missing_ok=True)
            with note.open("x", encoding="utf-8") as file:
                file.write(f"{reason}\n")
            path.replace(target)  # Last: what is aside has its reason.

        try:
            await anyio.to_thread.run_sync(move)
        except OSError:
            self._read[path] = stamp  # Said once, until the file changes.
            logger.exception(
                "%s is no entry of a worklist (%s), and cannot be set aside", path, reason
            )
            return
        logger.error("%s is no entry of a worklist: %s; see %s", path, reason, aside)
        origin = Origin("worklist", called_ae_title=self.node.settings.ae_title)
        details = {"file": path.name, "reason": reason}
        await self.node.audit.record(AuditEvent(SET_ASIDE, Outcome.FAILURE, origin, details))

    def _files(self) -> Iterator[tuple[Path, Stamp]]:
        count = 0
        for folder in (self.folder, self.folder / self.node.settings.ae_title):
            if not folder.is_dir():
                continue
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() != ".wl" or path.name.startswith(".") or count > _MOST_FILES:
                    continue
                count += 1
                try:
                    found = path.lstat()
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    yield path, (found.st_size, found.st_mtime_ns)

    def _source(self, path: Path) -> str:
        return f"file:{path.relative_to(self.folder)}"
