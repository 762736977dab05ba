"""Pictures of all images of a folder.

One process reads, and hands compressed frames to the codec processes, which serve all files; frames
are shown and encoded in threads, for what takes long there, NumPy and Pillow, leaves them to run.
Some files at a time are on their way, so that memory holds a few frames, and what is to be said is
said in the order of the files.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from pacs_core.api.commands import FrameReader, assemble, load_config, open_frames
from pacs_core.api.file_commands import (
    CommandError,
    Draft,
    complain,
    complain_of_nothing,
    progress,
    say,
    walk,
)
from pacs_core.contracts import TranscodingError
from pacs_core.dataset import MalformedDataset, NotPart10, is_part10, scan_file, tag_of
from pacs_image_export.command import refuse_to_replace
from pacs_image_export.errors import RenderError
from pacs_image_export.extraction import make_picture
from pacs_image_export.wanted import Wanted

_ROWS = tag_of("Rows")
_AHEAD = 8
"""Files for each thread that are begun before what became of them is said."""


async def extract_folder(
    folder: Path, output: Path, wanted: Wanted, config: Path | None, *, overwrite: bool, jobs: int
) -> int:
    """Write a picture of each image below a folder; return the exit code.

    What is no DICOM file, and no image, is passed over.

    Parameters
    ----------
    folder, output : Path
        Pictures lie below the one as images do below the other.
    wanted : Wanted
    config : Path or None
    overwrite : bool
        Replace files that exist.
    jobs : int
        Threads; 0 for one for each processor.
    """
    jobs = jobs or os.cpu_count() or 1
    limiter, done, failed = anyio.CapacityLimiter(jobs), 0, 0
    paths = (path for path, _ in walk([folder], without=output))
    with progress("extracting", None) as advance:
        async with open_frames(assemble(load_config(config))) as frames:
            for some in _batches(paths, _AHEAD * jobs):
                said: dict[Path, tuple[bool, list[str]]] = {}

                async def extract_one(
                    path: Path, said: dict[Path, tuple[bool, list[str]]] = said
                ) -> None:
                    async with limiter:
                        below = path.relative_to(folder).parent
                        target = output / below / f"{path.stem}.{wanted.frame}.{wanted.format}"
                        said[path] = await _extract(frames, path, target, wanted, overwrite)

                async with anyio.create_task_group() as tasks:
                    for path in some:
                        tasks.start_soon(extract_one, path)
                for path in some:
                    is_done, lines = said[path]
                    for line in lines:
                        complain(f"{path}: {line}")
                    done += is_done
                    failed += bool(lines) and not is_done
                    advance(1)
    say(f"{done} file{'' if done == 1 else 's'} written")
    if done or failed:
        return 1 if failed else 0
    return complain_of_nothing("no image was found")


def _batches(paths: Iterable[Path], size: int) -> Iterator[list[Path]]:
    pending = iter(paths)
    while some := list(islice(pending, size)):
        yield some


async def _extract(
    frames: FrameReader, path: Path, target: Path, wanted: Wanted, overwrite: bool
) -> tuple[bool, list[str]]:
    """Return whether a picture was written, and what there is to say."""
    try:
        if not await run_sync(_is_image, path):
            return False, []
        if not overwrite:
            await run_sync(refuse_to_replace, target)
        read = await frames.read_frame(path, wanted.frame)
        content, warnings = await run_sync(make_picture, read, wanted)
        await run_sync(_write, target, content)
    except MalformedDataset as error:
        return False, [f"damaged: {error.what} (at byte {error.offset})"]
    except (TranscodingError, RenderError, CommandError) as error:
        return False, [str(error)]
    except MemoryError:
        return False, ["the frame is too large for the memory there is"]
    except OSError as error:
        return False, [error.strerror or str(error)]
    return True, list(warnings)


def _is_image(path: Path) -> bool:
    if not is_part10(path):
        return False
    try:
        return _ROWS in scan_file(path, {_ROWS}).attributes
    except NotPart10:
        return False


def _write(target: Path, content: bytes) -> None:
    draft = Draft(target.parent)
    try:
        draft.write(content)
        draft.finish(name=target.name)
    finally:
        draft.discard()
