"""The renderer: on the contract suite, and what its processes may come to."""

import os
import signal

import anyio
import numpy as np
import pytest
from attrs import evolve
from pacs_image_export.pictures import make_picture
from pacs_image_export.renderer import ProcessRenderer

from pacs_core.contracts import Frame, FrameFormat, RenderingError, RenderingOptions
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encode_attributes, tag_of
from pacs_core.testing.renderer_contract import RendererContract

HEADER = encode_attributes({tag_of("Rows"): ("4",)}, EXPLICIT_VR_LITTLE_ENDIAN)
GREY = FrameFormat(4, 4, 1, 8, 8, False, "MONOCHROME2")
FRAME = Frame(1, bytes(range(16)), EXPLICIT_VR_LITTLE_ENDIAN, GREY)


class TestProcessRenderer(RendererContract):
    def make(self):
        return ProcessRenderer()


@pytest.mark.anyio
async def test_a_process_that_dies_costs_one_picture():
    renderer = ProcessRenderer()
    try:
        await renderer.render(HEADER, [FRAME], RenderingOptions())
        [pid] = renderer.pool.idle
        os.kill(pid, signal.SIGSTOP)
        caught = []

        async def render():
            try:
                await renderer.render(HEADER, [FRAME], RenderingOptions())
            except RenderingError as error:
                caught.append(str(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(render)
            await anyio.wait_all_tasks_blocked()
            os.kill(pid, signal.SIGKILL)
        assert ["died" in each for each in caught] == [True]
        assert await renderer.render(HEADER, [FRAME], RenderingOptions())
        assert renderer.pool.idle != [pid]
    finally:
        await renderer.stop()
    assert not renderer.pool.idle


@pytest.mark.anyio
async def test_a_process_that_hangs_is_killed():
    renderer = ProcessRenderer()
    try:
        await renderer.render(HEADER, [FRAME], RenderingOptions())
        [pid] = renderer.pool.idle
        os.kill(pid, signal.SIGSTOP)
        renderer.pool.timeout = 0.2
        with pytest.raises(RenderingError, match="longer than"):
            await renderer.render(HEADER, [FRAME], RenderingOptions())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    finally:
        await renderer.stop()


@pytest.mark.anyio
async def test_cancelling_kills_the_process():
    renderer = ProcessRenderer()
    try:
        await renderer.render(HEADER, [FRAME], RenderingOptions())
        [pid] = renderer.pool.idle
        os.kill(pid, signal.SIGSTOP)
        with anyio.move_on_after(0.1):
            await renderer.render(HEADER, [FRAME], RenderingOptions())
        assert not renderer.pool.idle
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    finally:
        await renderer.stop()


def test_planes_and_bits_that_are_not_the_lowest():
    pixels = np.random.default_rng(1).integers(0, 256, (4, 4, 3), "u1")
    by_pixel = FrameFormat(4, 4, 3, 8, 8, False, "RGB")
    by_plane = evolve(by_pixel, planar_configuration=1)
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0)).tobytes()
    options = RenderingOptions()
    expected = make_picture(
        HEADER, [evolve(FRAME, data=pixels.tobytes(), format=by_pixel)], options
    )
    assert make_picture(HEADER, [evolve(FRAME, data=planes, format=by_plane)], options) == expected
    low = FrameFormat(4, 4, 1, 16, 8, False, "MONOCHROME2")
    values = np.arange(16, dtype="<u2")
    plain = evolve(FRAME, data=values.tobytes(), format=low)
    shifted = evolve(plain, data=(values << 4).tobytes(), low_bits=4)
    assert make_picture(HEADER, [shifted], options) == make_picture(HEADER, [plain], options)
