"""Files whose pixels are compressed, for who has no event loop: the command."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import Factory, define

from pacs_core.api.commands import Assembly, open_transcoder
from pacs_core.contracts import PassThrough, Transcoder
from pacs_deidentify.batch import Batch, FileResult, Native, Writing
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.files import ReadFile, open_file
from pacs_deidentify.recompression import compress_again, make_native


@define
class Recompressor:
    """De-identifies files whose pixels are compressed, for who has no event loop.

    Nothing is started before there is such a file. What is native meanwhile is in a folder that
    only its user can read, and never where others are given files from.

    Parameters
    ----------
    assembly : Assembly
        Whose codecs do the work.
    """

    assembly: Assembly
    _stack: ExitStack = Factory(ExitStack)
    _portal: BlockingPortal | None = None
    _transcoder: Transcoder = Factory(PassThrough)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextmanager
    def open_native(self, path: Path) -> Iterator[ReadFile]:
        """Read a file, with native pixels whatever it has."""
        with ExitStack() as stack:
            read = stack.enter_context(open_file(path))
            if any(span.encapsulated for span in read.pixels):
                native = Path(stack.enter_context(TemporaryDirectory()), "native")
                self._start().call(make_native, self._transcoder, path, native)
                read = stack.enter_context(open_file(native))
            yield read

    def _start(self) -> BlockingPortal:
        if self._portal is None:
            self._portal = self._stack.enter_context(start_blocking_portal())
            opened = self._portal.wrap_async_context_manager(open_transcoder(self.assembly))
            self._transcoder = self._stack.enter_context(opened)
        return self._portal

    def one(self, batch: Batch, path: Path) -> FileResult:
        """De-identify a file into the output folder: whole, or not at all."""
        call = self._start().call
        transcoder = self._transcoder
        with TemporaryDirectory() as folder:
            native = Path(folder, "native")
            try:
                syntax = call(make_native, transcoder, path, native)
            except DeidentificationError as error:
                return FileResult(path, "refused", str(error))

            def encode(made: Path, write: Writing) -> None:
                call(compress_again, transcoder, made, syntax, batch.profile.blanked_syntax, write)

            return batch.one(path, Native(native, Path(folder, "made"), encode))
