"""Workers with small limits, and codecs that misbehave in them."""

import pickle
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from pacs_core.contracts import FrameFormat
from pacs_core.transcoding import CodecWorkers, Job, WorkerLimits

MODULES = Path(__file__).parent / "modules"


@pytest.fixture
def odd_codecs(monkeypatch):
    """Return the module of odd codecs, importable in workers as well."""
    monkeypatch.syspath_prepend(MODULES)
    import odd_codecs

    return odd_codecs


@pytest.fixture
def frame_format():
    """Return the format of a small frame."""
    return FrameFormat(8, 8, 1, 8, 8, False, "MONOCHROME2")


@pytest.fixture
def job(odd_codecs, frame_format):
    """Return a job for the odd codec."""
    return Job(frame_format, decoder=pickle.dumps(odd_codecs.Odd))


@pytest.fixture
def running_workers():
    """Return a context manager of running workers, stopped at its end."""

    @asynccontextmanager
    async def running(started=(), *, files=False, **limits):
        workers = CodecWorkers(WorkerLimits(**{"workers": 1, **limits}), started, files=files)
        async with anyio.create_task_group() as tasks:
            await workers.start(tasks)
            try:
                yield workers
            finally:
                await workers.stop()
                tasks.cancel_scope.cancel()

    return running
