"""Conversions of files: which becomes which, and how."""

from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import ObjectReceiveStream
from attrs import frozen

from pacs_core.app import Assembly, open_transcoder
from pacs_core.cli.conversion_request import ConversionRequest, describe_loss
from pacs_core.cli.errors import NOT_LOSSLESS
from pacs_core.cli.file_counts import FileCounts
from pacs_core.cli.files import DicomFile, Found, inspect_all
from pacs_core.cli.folders import walk
from pacs_core.cli.progress import progress
from pacs_core.concurrency import task_group
from pacs_core.contracts import Action, Plan, TranscodingError, VerificationError, check_ae_title
from pacs_core.dataset import file_meta, short_name_of
from pacs_core.transcoding import (
    FileConversion,
    NodeTranscoder,
    Planner,
    WorkerProcess,
    convert_file,
)

# Theory of operation
#
# One task looks at files and decides, as many as there are codec processes and one more convert.
# The channel between them is as long as that, so that deciding does not run far ahead, and the
# processes never wait for a file to be looked at. Each conversion is counted as it ends; a file
# that fails fails alone.


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
    request : ConversionRequest
    source, target : Path
        A file and a file or folder, or two folders.
    planner : Planner
    transcoder : NodeTranscoder
    counts : FileCounts
    """

    request: ConversionRequest
    source: Path
    target: Path
    planner: Planner
    transcoder: NodeTranscoder
    counts: FileCounts

    def prepare(self, found: Found) -> Work | None:
        """Return what to do with a file; count what is done with already."""
        file = self.counts.take_usable(found)
        if file is None:
            return None
        target = self._target(file.path)
        # Looked at before the work, and again, without a gap, when the file gets its name.
        if not self.request.overwrite and target.exists():
            self.counts.fail(file.path, f"{target} exists; replace it with --overwrite")
            return None
        plan = self.planner.conversion(
            file.transfer_syntax_uid,
            self.request.transfer_syntax_uid,
            self.request.options,
            new_uid=self.request.new_uid,
            verify=self.request.verify,
        )
        if plan.action is Action.REFUSE:
            to = short_name_of(self.request.transfer_syntax_uid)
            self.counts.fail(file.path, f"cannot be converted to {to}: {plan.reason}")
            return None
        # Recompression of a JPEG restores it bit by bit: it loses nothing, whatever the syntax.
        encodes = plan.action is Action.TRANSCODE and not plan.recompress
        if encodes and not self.request.lossy and (obstacle := describe_loss(plan.target)):
            self.counts.fail(file.path, obstacle)
            return None
        return Work(file, target, plan)

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
            self.counts.fail(work.file.path, str(error), NOT_LOSSLESS)
        except TranscodingError as error:
            self.counts.fail(work.file.path, str(error))
        except OSError as error:
            reason = error.strerror or str(error)
            self.counts.fail(work.file.path, f"{error.filename or work.target}: {reason}")
        else:
            copied = work.plan.action is Action.PASS_THROUGH
            self.counts.add("copied" if copied else "converted")

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
            plan, file.path, file.offset, file.length, work.target, head, self.request.overwrite
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
    request: ConversionRequest,
    started: list[WorkerProcess],
    verbose: bool,
) -> int:
    """Convert all that is to be converted; return the exit code."""
    files = await anyio.to_thread.run_sync(lambda: list(walk([source])))
    async with open_transcoder(assembly, started, files=True) as transcoder:
        at_once = transcoder.workers.limits.processes + 1
        with progress("converting", len(files)) as advance:
            planner, counts = Planner(assembly.codecs()), FileCounts(advance, verbose)
            conversions = Conversions(request, source, target, planner, transcoder, counts)
            send, receive = anyio.create_memory_object_stream[Work](at_once)
            async with task_group() as tasks, send:
                for _ in range(min(at_once, len(files))):
                    tasks.start_soon(_work, conversions, receive.clone())
                receive.close()
                async for found in inspect_all(files):
                    if work := conversions.prepare(found):
                        await send.send(work)
    return counts.summarize("converted")


async def _work(conversions: Conversions, works: ObjectReceiveStream[Work]) -> None:
    async with works:
        async for work in works:
            await conversions.do(work)
