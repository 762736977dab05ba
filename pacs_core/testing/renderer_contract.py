"""The contract of renderers, as tests that a plugin's tests inherit.

Example
-------
::

    class TestOurRenderer(RendererContract):
        def make(self) -> Renderer:
            return OurRenderer()
"""

from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from struct import unpack
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from pacs_core.contracts import (
    Frame,
    FrameFormat,
    Renderer,
    RenderingError,
    RenderingOptions,
    SourceRegion,
    Subtraction,
    Viewport,
)
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encode_attributes, tag_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROWS, COLUMNS = 8, 16
_FORMAT = FrameFormat(ROWS, COLUMNS, 1, 16, 12, False, "MONOCHROME2")
_HEADER = encode_attributes(
    {
        tag_of("SOPClassUID"): ("1.2.840.10008.5.1.4.1.1.7",),
        tag_of("Rows"): (str(ROWS),),
        tag_of("Columns"): (str(COLUMNS),),
        tag_of("WindowCenter"): ("2048",),
        tag_of("WindowWidth"): ("4096",),
    },
    EXPLICIT_VR_LITTLE_ENDIAN,
)


def _frame(number: int = 1) -> Frame:
    samples = [
        (column * 256 + number * 100) % 4096 for _ in range(ROWS) for column in range(COLUMNS)
    ]
    data = b"".join(sample.to_bytes(2, "little") for sample in samples)
    return Frame(number, data, EXPLICIT_VR_LITTLE_ENDIAN, _FORMAT)


def _png_size(content: bytes) -> tuple[int, int]:
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = unpack(">II", content[16:24])
    return width, height


class RendererContract(ABC):
    """What every renderer does."""

    @abstractmethod
    def make(self) -> Renderer:
        """Return a renderer that has not started."""

    @asynccontextmanager
    async def started(self) -> "AsyncIterator[Renderer]":
        """Start a renderer, and stop it."""
        renderer = self.make()
        await renderer.start()
        try:
            yield renderer
        finally:
            await renderer.stop()

    @pytest.mark.anyio
    async def test_formats(self) -> None:
        """PNG and JPEG have one frame, GIF any number."""
        async with self.started() as renderer:
            options = RenderingOptions()
            assert _png_size(await renderer.render(_HEADER, [_frame()], options)) == (COLUMNS, ROWS)
            jpeg = evolve(options, media_type="image/jpeg")
            assert (await renderer.render(_HEADER, [_frame()], jpeg)).startswith(b"\xff\xd8\xff")
            gif = evolve(options, media_type="image/gif")
            frames = [_frame(number) for number in (1, 2, 3)]
            assert (await renderer.render(_HEADER, frames, gif)).startswith(b"GIF8")

    @pytest.mark.anyio
    async def test_viewport(self) -> None:
        """A picture fits in, and keeps its proportions (PS3.18 §8.3.5.1.3)."""
        async with self.started() as renderer:
            fitted = RenderingOptions(viewport=Viewport(64, 64))
            assert _png_size(await renderer.render(_HEADER, [_frame()], fitted)) == (64, 32)
            region = SourceRegion(0, 0, 4, -8)
            part = RenderingOptions(viewport=Viewport(64, 64, region))
            assert _png_size(await renderer.render(_HEADER, [_frame()], part)) == (32, 64)

    @pytest.mark.anyio
    async def test_pixels_that_are_no_squares(self) -> None:
        """Those of a picture are, also within a viewport, turned, or cut (PS3.3 C.7.6.3.1.7)."""
        region = Viewport(0, 0, SourceRegion(0, 0, 4, 8))
        async with self.started() as renderer:
            for options, size in (
                (RenderingOptions(pixel_aspect=2.0), (COLUMNS, 2 * ROWS)),
                (RenderingOptions(pixel_aspect=0.5), (2 * COLUMNS, ROWS)),
                (RenderingOptions(pixel_aspect=2.0, rotation=90), (2 * ROWS, COLUMNS)),
                (RenderingOptions(pixel_aspect=2.0, viewport=Viewport(64, 99)), (64, 64)),
                (RenderingOptions(pixel_aspect=2.0, viewport=region), (4, 16)),
            ):
                assert _png_size(await renderer.render(_HEADER, [_frame()], options)) == size

    @pytest.mark.anyio
    async def test_options_matter(self) -> None:
        """A window, and annotations, make another picture."""
        async with self.started() as renderer:
            large = Viewport(256, 128)
            pictures = {
                await renderer.render(_HEADER, [_frame()], options)
                for options in (
                    RenderingOptions(viewport=large),
                    RenderingOptions(viewport=large, window=(100.0, 50.0, "LINEAR")),
                    RenderingOptions(viewport=large, window=(100.0, 50.0, "SIGMOID")),
                    RenderingOptions(viewport=large, annotations=("Doe^Jane",)),
                )
            }
            assert len(pictures) == 4

    @pytest.mark.anyio
    async def test_subtractions(self) -> None:
        """Several frames make one picture, a mask and its shift another (PS3.3 C.7.6.10)."""
        frames, window = [_frame(number) for number in (1, 2, 3)], (0.0, 1024.0, "LINEAR_EXACT")
        masked = (Subtraction((3,), (1,)), Subtraction((3,), (1, 2)), Subtraction((2, 3), (1,)))
        shifted = Subtraction((3,), (1,), (0.0, 0.5))
        async with self.started() as renderer:
            pictures = [
                await renderer.render(
                    _HEADER, frames, RenderingOptions(window=window, subtractions=(each,))
                )
                for each in (Subtraction((3,)), *masked, shifted)
            ]
            assert {_png_size(picture) for picture in pictures} == {(COLUMNS, ROWS)}
            # Of frames that are 100 apart, the mean of two is 50 from either.
            assert len(set(pictures)) == 4
            assert pictures[2] == pictures[3]
            moving = RenderingOptions("image/gif", subtractions=masked)
            assert (await renderer.render(_HEADER, frames, moving)).startswith(b"GIF8")
            missing = RenderingOptions(subtractions=(Subtraction((3,), (9,)),))
            with pytest.raises(RenderingError):
                await renderer.render(_HEADER, frames, missing)

    @pytest.mark.anyio
    async def test_what_cannot_be_shown(self) -> None:
        """It is refused with a reason, and the renderer goes on."""
        outside = Viewport(8, 8, SourceRegion(100, 100, 5, 5))
        async with self.started() as renderer:
            for header, frames, options in (
                (_HEADER, [_frame()], RenderingOptions("image/x-unknown")),
                (_HEADER, [], RenderingOptions()),
                (_HEADER, [_frame(), _frame(2)], RenderingOptions()),
                (_HEADER, [_frame()], RenderingOptions(viewport=outside)),
                (_HEADER, [_frame()], RenderingOptions(window=(1.0, 0.0, "LINEAR"))),
                (_HEADER, [evolve(_frame(), data=b"short")], RenderingOptions()),
                (b"no dataset", [_frame()], RenderingOptions()),
            ):
                with pytest.raises(RenderingError):
                    await renderer.render(header, frames, options)
            assert _png_size(await renderer.render(_HEADER, [_frame()], RenderingOptions()))
