"""How many frames are under way at once."""

import pickle

import anyio
import pytest

from pacs_core.contracts import FrameFormat
from pacs_core.transcoding import Job, frame_queue

pytestmark = pytest.mark.anyio

KIBIBYTE = FrameFormat(32, 32, 1, 8, 8, False, "MONOCHROME2")


@pytest.fixture
def copying(odd_codecs):
    return Job(KIBIBYTE, decoder=pickle.dumps(odd_codecs.Copy))


def put_all(line, job):
    """Put frames until there is no room; return how many."""
    count = 0
    while not line.is_full:
        line.put(job, bytes(KIBIBYTE.size))
        count += 1
    return count


@pytest.mark.parametrize(("room", "frames"), [(1, 1), (1024, 1), (2000, 2), (1 << 20, 3)])
async def test_memory_and_workers_limit_the_frames_under_way(
    running_workers, copying, monkeypatch, room, frames
):
    """A frame that is larger than the room is on its way alone."""
    monkeypatch.setattr(frame_queue, "MAX_IN_FLIGHT", room)
    async with running_workers(workers=2) as workers, anyio.create_task_group() as tasks:
        line = frame_queue.FrameQueue(workers, tasks)
        assert put_all(line, copying) == frames
        await line.take()
        assert put_all(line, copying) == 1
        line.cancel()
        assert put_all(line, copying) == frames
        line.cancel()
