"""Print jobs on their way out: drawn, and handed to folder, printer and archive.

A job is begun again after ``SIGKILL``: files of films are written anew under the same names,
the archive knows the Secondary Capture already, and what a printer has taken is noted in the folder
of the job as soon as `lp` says so.
"""

import json
import logging
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import anyio
from pacs_jobs.api import JobFailedError, JobHandler, Progress, RunningJob

from pacs_core.api.files import file_chunks
from pacs_core.api.workers import worker_environment
from pacs_core.contracts import (
    AuditEvent,
    AuditValue,
    EventAction,
    IngestError,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    PluginInfo,
)
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.films import Film, PrintJob
from pacs_sop_print.interface import ATTEMPTS, ExecutionStatus, JobRecord, PrintQueue

logger = logging.getLogger(__name__)

PRINTED: Final = PluginAuditKind("print.printed")


class DeliveryError(Exception):
    """A film could not be drawn, or was not taken; it is tried again."""


class PrintFilms(JobHandler):
    """Prints the films of a job, one after the other.

    Parameters
    ----------
    node : Node
    plugin : PluginInfo
    config : PrintConfig
    """

    def __init__(self, node: Node, plugin: PluginInfo, config: PrintConfig) -> None:
        self._node = node
        self._config = config
        self._folder = config.folder or plugin.directory / "films"

    async def run(self, job: RunningJob) -> None:
        """Print."""
        # It loads pydicom and what draws: not before something is to be printed, and not here.
        await anyio.to_thread.run_sync(import_module, "pacs_sop_print.worker")
        queue = self._node.find(PrintQueue)
        uid = str(job.arguments["uid"])
        record = await queue.find(uid)
        if record is None or record.state is ExecutionStatus.DONE:
            return
        try:
            printed = await anyio.to_thread.run_sync(queue.spool.read, record.folder)
        except (OSError, ValueError) as error:
            await queue.note(uid, ExecutionStatus.FAILURE, "INVALID PAGE DES", str(error))
            raise JobFailedError(f"the files of the print job are gone: {error}") from error
        await queue.note(uid, ExecutionStatus.PRINTING, record.info, record.error)
        try:
            for number, film in enumerate(printed.films, 1):
                await job.report(Progress(number - 1, len(printed.films), "films"))
                await self._print(record, printed, number, film)
        except (DeliveryError, IngestError, OSError, LookupError) as error:
            is_last = job.attempt >= ATTEMPTS
            state = ExecutionStatus.FAILURE if is_last else ExecutionStatus.PENDING
            await queue.note(uid, state, "CHECK PRINTER", str(error))
            raise
        await self._record(printed)
        await queue.note(uid, ExecutionStatus.DONE)
        await anyio.to_thread.run_sync(queue.spool.drop, record.folder)

    async def _print(self, record: JobRecord, job: PrintJob, number: int, film: Film) -> None:
        source = self._node.find(PrintQueue).spool.folder(record.folder)
        target = self._folder / f"{job.created}-{record.folder}"
        await anyio.to_thread.run_sync(lambda: target.mkdir(parents=True, exist_ok=True))
        stem = f"film-{number}"
        wanted = list(self._config.formats)
        needed: set[str] = set(wanted)
        needed |= {"pdf"} if self._config.printer else set()
        needed |= {"dcm"} if self._config.store else set()
        draft = source / stem
        from pacs_sop_print.secondary_capture import describe
        from pacs_sop_print.worker import draw_request

        attributes = describe(job, number, self._node.settings.ae_title)
        request = draw_request(film, source, draft, self._config)
        await self._draw(request | {"formats": sorted(needed), "attributes": attributes})
        if self._config.store:
            await self._store(job, number, draft.with_suffix(".dcm"))
        if self._config.printer:
            await self._send(job, draft.with_suffix(".pdf"), source / f"{stem}.taken")
        for suffix in wanted:
            await anyio.to_thread.run_sync(
                _move, draft.with_suffix(f".{suffix}"), target / f"{stem}.{suffix}"
            )

    async def _draw(self, request: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "pacs_sop_print.worker"]
        content = json.dumps(request).encode()
        await self._run(command, content, "drawing a film", worker_environment())

    async def _store(self, job: PrintJob, number: int, file: Path) -> None:
        from pacs_sop_print.secondary_capture import SOP_CLASS, TRANSFER_SYNTAX, instance_uid

        origin = Origin(
            "print",
            calling_ae_title=job.originator,
            called_ae_title=self._node.settings.ae_title,
        )
        await self._node.archive.ingest(
            file_chunks(file),
            transfer_syntax_uid=TRANSFER_SYNTAX,
            sop_class_uid=SOP_CLASS,
            sop_instance_uid=instance_uid(job, number),
            origin=origin,
        )

    async def _send(self, job: PrintJob, file: Path, taken: Path) -> None:
        if await anyio.Path(taken).exists():
            return
        title = "".join(c for c in job.label if c.isprintable()) or "DICOM film"
        command = [
            *self._config.lp,
            "-d", self._config.printer, "-n", str(job.copies), "-t", title, "--", str(file),
        ]  # fmt: skip
        await self._run(command, b"", "lp", None)
        await anyio.Path(taken).touch()

    async def _run(
        self, command: list[str], content: bytes, what: str, environment: dict[str, str] | None
    ) -> None:
        try:
            with anyio.fail_after(self._config.timeout):
                ended = await anyio.run_process(
                    command,
                    input=content,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    check=False,
                )
        except TimeoutError:
            seconds = f"{self._config.timeout:g}"
            raise DeliveryError(f"{what} takes longer than {seconds} seconds") from None
        if ended.returncode != 0:
            said = ended.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise DeliveryError(f"{what} failed ({ended.returncode}): {' '.join(said)}")

    async def _record(self, job: PrintJob) -> None:
        details: dict[str, AuditValue] = {
            "print_job": job.uid,
            "films": len(job.films),
            "originator": job.originator,
        }
        origin = Origin("print", called_ae_title=self._node.settings.ae_title)
        event = AuditEvent(PRINTED, Outcome.SUCCESS, origin, details, action=EventAction.EXECUTE)
        await self._node.audit.record(event)


def _move(source: Path, target: Path) -> None:
    """Move a file to where others look, whole or not at all, also to another file system."""
    draft = target.with_name(f".{target.name}.part")
    with source.open("rb") as content, draft.open("wb") as copy:
        while chunk := content.read(1 << 20):
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    draft.replace(target)
