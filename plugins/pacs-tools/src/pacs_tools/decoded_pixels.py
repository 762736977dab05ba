"""Pixels of two files, compared as they are when they are decoded.

Frames are decoded one by one, both files at the same pace, and in a process that a broken frame may
crash: memory holds two frames, however many there are.
"""

from collections.abc import Iterator
from functools import partial
from operator import ne, sub
from pathlib import Path
from typing import Final, Literal

from pacs_core.api.commands import CommandError, assemble, load_config, open_frames, run_async
from pacs_core.api.conversion import StoredFrame
from pacs_core.contracts import TranscodingError

_CODES: Final[dict[tuple[int, bool], Literal["B", "b", "H", "h", "I", "i"]]] = {
    (8, False): "B", (8, True): "b", (16, False): "H", (16, True): "h", (32, False): "I",
    (32, True): "i",
}  # fmt: skip
"""Samples by their bits, and whether they are signed, as `memoryview.cast` calls them."""


def compare_pixels(first: Path, second: Path) -> str:
    """Return in what the decoded pixels of two files differ; nothing if they are the same.

    Raises
    ------
    CommandError
        A frame cannot be decoded.
    """
    return run_async(partial(_compare, first, second))


async def _compare(first: Path, second: Path) -> str:
    path = first
    async with open_frames(assemble(load_config(None))) as frames:
        ones, others = frames.read(first), frames.read(second)
        try:
            while True:
                path = first
                one = await anext(ones, None)
                path = second
                other = await anext(others, None)
                if one is None and other is None:
                    return ""
                if one is None or other is None:
                    return "other numbers of frames"
                if found := "; ".join(_differences(one, other)):
                    return f"frame {one.number}: {found}"
        except TranscodingError as error:
            raise CommandError(f"{path}: {error}") from error
        finally:
            await ones.aclose()
            await others.aclose()


def _differences(one: StoredFrame, other: StoredFrame) -> Iterator[str]:
    forms = one.format, other.format
    for name in ("columns", "rows", "samples_per_pixel", "bits_allocated"):
        found = [getattr(form, name) for form in forms]
        if found[0] != found[1]:
            yield f"{name.replace('_', ' ')} {found[0]}, {found[1]}"
            return
    if one.data == other.data:
        return
    code = _CODES.get((forms[0].bits_allocated, forms[0].is_signed))
    if code is None:
        yield "samples differ"
        return
    pairs = [memoryview(each.data).cast(code) for each in (one, other)]
    number = sum(map(ne, *pairs))
    most = max(map(abs, map(sub, *pairs)))
    yield f"{number} of {len(pairs[0])} samples differ, by {most} at most"
