"""The files of a plugin's code, and the frames of a traceback within them."""

import importlib.util
import linecache
import os
import traceback
from collections.abc import Iterable, Iterator
from types import FrameType

from attrs import frozen

_MAX_FRAMES = 5


@frozen
class CodeFrame:
    """A line of a plugin's code that was being executed."""

    file: str
    line: int
    function: str

    @property
    def source(self) -> str:
        """The line itself; empty if the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


def code_roots(target: str) -> tuple[str, ...]:
    """Return the files and directories that hold the code of an entry point.

    Parameters
    ----------
    target : str
        What the entry point names: ``"package.module:object"``.

    Returns
    -------
    tuple of str
        The directories of the top-level package, or the one file of a module; namespace packages,
        which many distributions share, are passed over. None if it cannot be found.
    """
    words = target.partition(":")[0].strip().split(".")
    for count in range(1, len(words) + 1):
        try:
            spec = importlib.util.find_spec(".".join(words[:count]))
        except Exception:  # whatever is wrong with it is reported where it is loaded
            return ()
        if spec is None:
            return ()
        if spec.origin is not None and spec.has_location:
            places = spec.submodule_search_locations or [spec.origin]
            return tuple(os.path.abspath(place) for place in places)
    return ()


def holds(root: str, file: str) -> bool:
    """Tell whether a file is a root, or lies below it."""
    return file == root or file.startswith(root + os.sep)


def own_frames(error: BaseException, roots: Iterable[str]) -> tuple[CodeFrame, ...]:
    """Return the last frames of a traceback that are in a plugin's own code, innermost last.

    If the error itself passed through none, those of the error that it came from are taken. A
    syntax error counts as a frame: the code was never run.
    """
    roots = tuple(roots)
    for each in _chain(error):
        frames = [frame for frame in _frames(each) if any(holds(r, frame.file) for r in roots)]
        if frames:
            return tuple(frames[-_MAX_FRAMES:])
    return ()


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _frames(error: BaseException) -> Iterator[CodeFrame]:
    for summary in traceback.extract_tb(error.__traceback__):
        yield CodeFrame(os.path.abspath(summary.filename), summary.lineno or 0, summary.name)
    if isinstance(error, SyntaxError) and error.filename:
        yield CodeFrame(os.path.abspath(error.filename), error.lineno or 0, "<module>")


def frame_of(frame: FrameType) -> CodeFrame:
    """Return where a running frame is."""
    code = frame.f_code
    return CodeFrame(os.path.abspath(code.co_filename), frame.f_lineno, code.co_qualname)
