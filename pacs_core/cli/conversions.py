"""Conversions of files: which becomes which, and how."""

from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import ObjectReceiveStream
from attrs import frozen

from pacs_core.app import Assembly, open_transcoder
from pacs_core.association import task_group
from pacs_core.cli.conversion_request import Wanted, describe_loss
from pacs_core.cli.errors import NOT_LOSSLESS
from pacs_core.cli.file_counts import Tally
from pacs_core.cli.files import DicomFile, Found, inspected, walk
from pacs_core.cli.progress import progress
from pacs_core.config import check_ae_title
from pacs_core.contracts import Action, Plan, TranscodingError, VerificationError
from pacs_core.dataset import file_meta, short_name_of
from pacs_core.transcoding import (
    FileConversion,
    NodeTranscoder,
    Planner,
    WorkerProcess,
    convert_file,
)


@frozen
class Work:
    """A file, what becomes of it, and where."""

    file: DicomFile
    target: Path
    plan: Plan


@frozen
class Conversions:
    """Converts files, and counts them.

    Attributes
    ----------
    wanted : Wanted
    source, target : Path
        A file and a file or folder, or two folders.
    planner : Planner
    transcoder : NodeTranscoder
    tally : Tally
    """

    wanted: Wanted
    source: Path
    target: Path
    planner: Planner
    transcoder: NodeTranscoder
    tally: Tally

    def prepare(self, found: Found) -> Work | None:
        """Return what to do with a file; count what is done with already."""
        file = self.tally.take_usable(found)
        if file is None:
            return None
        target = self._target(file.path)
        if not self.wanted.overwrite and target.exists():
            self.tally.failed(file.path, f"{target} exists; replace it with --overwrite")
            return None
        plan = self.planner.conversion(
            file.transfer_syntax_uid,
            self.wanted.transfer_syntax_uid,
            self.wanted.options,
            new_uid=self.wanted.new_uid,
            verify=self.wanted.verify,
        )
        if plan.action is Action.REFUSE:
            to = short_name_of(self.wanted.transfer_syntax_uid)
            self.tally.failed(file.path, f"cannot be converted to {to}: {plan.reason}")
            return None
        if obstacle := self._loss(plan):
            self.tally.failed(file.path, obstacle)
            return None
        return Work(file, target, plan)

    def _loss(self, plan: Plan) -> str:
        """Return what has not been asked for; nothing if there is no such thing."""
        encodes = plan.action is Action.TRANSCODE and not plan.recompress
        return describe_loss(plan.target) if encodes and not self.wanted.lossy else ""

    def _target(self, path: Path) -> Path:
        if path != self.source:
            return self.target / path.relative_to(self.source)
        return self.target / path.name if self.target.is_dir() else self.target

    async def do(self, work: Work) -> None:
        """Convert a file."""
        try:
            work.target.parent.mkdir(parents=True, exist_ok=True)
            await convert_file(self.transcoder, self._conversion(work))
        except VerificationError as error:
            self.tally.failed(work.file.path, str(error), NOT_LOSSLESS)
        except TranscodingError as error:
            self.tally.failed(work.file.path, str(error))
        except OSError as error:
            reason = error.strerror or str(error)
            self.tally.failed(work.file.path, f"{error.filename or work.target}: {reason}")
        else:
            copied = work.plan.action is Action.PASS_THROUGH
            self.tally.done("copied" if copied else "converted")

    def _conversion(self, work: Work) -> FileConversion:
        file, plan = work.file, work.plan
        head = file_meta(
            file.sop_class_uid,
            plan.sop_instance_uid(file.sop_instance_uid),
            plan.target,
            _ae_title(file.meta.source_ae_title),
            _ae_title(file.meta.sending_ae_title),
            _ae_title(file.meta.receiving_ae_title),
        )
        return FileConversion(
            plan, file.path, file.offset, file.length, work.target, head, self.wanted.overwrite
        )


def _ae_title(text: str) -> str:
    """Return an AE title, or nothing if it cannot be one."""
    try:
        check_ae_title(text)
    except ValueError:
        return ""
    return text


async def convert_all(
    assembly: Assembly,
    source: Path,
    target: Path,
    wanted: Wanted,
    started: list[WorkerProcess],
    verbose: bool,
) -> int:
    """Convert all that is to be converted; return the exit code."""
    files = await anyio.to_thread.run_sync(lambda: list(walk([source])))
    async with open_transcoder(assembly, started) as transcoder:
        at_once = transcoder.workers.limits.processes + 1
        with progress("converting", len(files)) as advance:
            planner, tally = Planner(assembly.codecs()), Tally(advance, verbose)
            conversions = Conversions(wanted, source, target, planner, transcoder, tally)
            send, receive = anyio.create_memory_object_stream[Work](at_once)
            async with task_group() as tasks, send:
                for _ in range(min(at_once, len(files))):
                    tasks.start_soon(_work, conversions, receive.clone())
                receive.close()
                async for found in inspected(files):
                    if work := conversions.prepare(found):
                        await send.send(work)
    return tally.summarize("converted")


async def _work(conversions: Conversions, works: ObjectReceiveStream[Work]) -> None:
    async with works:
        async for work in works:
            await conversions.do(work)
