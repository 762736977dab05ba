"""Whatever a codec does to its process, it costs one frame, and leaves nothing behind."""

import os
import pickle
import signal
import subprocess
import sys

import anyio
import pytest

from pacs_core.contracts import CodecError, FrameFormat
from pacs_core.testing.waiting import until
from pacs_core.transcoding import (
    CodecCrashedError,
    CodecKilledError,
    CodecMemoryError,
    CodecTimeoutError,
    CodecWorkers,
    Job,
    WorkerLimits,
)

pytestmark = pytest.mark.anyio


def word(text, size=64):
    return text.encode().ljust(size, b"\0")


async def pid_of(workers, job):
    return int.from_bytes((await workers.run(job, word("pid"))).data[:4], "big")


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_frame_comes_back_as_it_was(running_workers, job):
    frame = bytes(range(64))
    async with running_workers() as workers:
        converted = await workers.run(job, frame)
    assert converted.data == frame
    assert converted.format == job.format


async def test_a_large_frame_comes_back_as_it_was(running_workers, odd_codecs):
    form = FrameFormat(1500, 1500, 1, 16, 16, True, "MONOCHROME1")
    frame = os.urandom(form.size)
    async with running_workers() as workers:
        converted = await workers.run(Job(form, pickle.dumps(odd_codecs.Copy)), memoryview(frame))
    assert converted.data == frame
    assert converted.format == form


async def test_decoding_and_encoding_is_one_job(running_workers, odd_codecs, frame_format):
    copy = pickle.dumps(odd_codecs.Copy)
    async with running_workers() as workers:
        converted = await workers.run(Job(frame_format, copy, copy), bytes(range(64)))
    assert converted.data == bytes(range(64))


async def test_processes_are_kept_warm(running_workers, job):
    async with running_workers() as workers:
        assert not workers.pids
        first = await pid_of(workers, job)
        assert await pid_of(workers, job) == first
        assert workers.pids == {first}


async def test_there_are_no_more_processes_than_configured(running_workers, job):
    pids = set()

    async def work(workers):
        pids.add(await pid_of(workers, job))

    async with running_workers(workers=2) as workers:
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(work, workers)
        assert len(workers.pids) <= 2
        assert pids <= workers.pids


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("crash", CodecCrashedError, r"died of this frame \(SIGSEGV\)"),
        ("exit", CodecCrashedError, r"died of this frame \(exit code 3\)"),
        ("hang", CodecTimeoutError, "more than 5 s for a frame"),
        ("spin", CodecTimeoutError, "processor time"),
        ("eat", CodecMemoryError, "more than 512 MiB of memory"),
        ("babble", CodecCrashedError, "answered nonsense"),
        ("lie", CodecCrashedError, "answered nonsense: a frame of"),
    ],
)
async def test_a_fault_costs_one_frame_and_its_process(running_workers, job, what, error, message):
    limits = {"timeout": 5.0 if what == "hang" else 30.0, "cpu_time": 0.1, "memory": 512 << 20}
    async with running_workers(**limits) as workers:
        before = await pid_of(workers, job)
        with pytest.raises(error, match=message):
            await workers.run(job, word(what))
        assert is_gone(before)
        assert (await workers.run(job, bytes(range(64)))).data == bytes(range(64))
        assert before not in workers.pids


async def test_a_frame_whose_process_is_killed_is_tried_once_more(
    running_workers, odd_codecs, tmp_path, caplog
):
    form = FrameFormat(16, 16, 1, 8, 8, False, "MONOCHROME2")
    job = Job(form, pickle.dumps(odd_codecs.Odd))
    frame = (word("once", 16) + str(tmp_path / "mark").encode()).ljust(256, b"\0")
    async with running_workers(files=True) as workers:
        before = await pid_of(workers, job)
        assert (await workers.run(job, frame)).data == frame
        assert before not in workers.pids
    assert "killed from outside (SIGKILL); its job is tried once more" in caplog.text


async def test_a_frame_whose_process_is_killed_twice_is_refused(running_workers, job, caplog):
    async with running_workers() as workers:
        with pytest.raises(CodecKilledError, match=r"\(SIGKILL\), as was that of a first try"):
            await workers.run(job, word("killed"))
        assert (await workers.run(job, bytes(range(64)))).data == bytes(range(64))
    assert caplog.text.count("tried once more") == 1


async def test_a_process_that_hangs_up_is_not_taken_for_killed(running_workers, job, caplog):
    async with running_workers() as workers:
        with pytest.raises(CodecCrashedError, match="closed its socket"):
            await workers.run(job, word("close"))
    assert not caplog.text


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("refuse", "marker FFD9 at 17, expected FFDA"),
        ("short", "a native frame of 1 bytes, 64 expected"),
        ("raise", "the codec failed: ZeroDivisionError: oops"),
    ],
)
async def test_a_codec_that_raises_keeps_its_process(running_workers, job, what, message):
    async with running_workers() as workers:
        before = await pid_of(workers, job)
        with pytest.raises(CodecError, match=message):
            await workers.run(job, word(what))
        assert await pid_of(workers, job) == before


async def test_a_codec_that_cannot_be_created_is_named(running_workers, frame_format):
    create = b"cno_such_module\nCodec\n."
    async with running_workers() as workers:
        with pytest.raises(CodecError, match="ModuleNotFoundError: No module named"):
            await workers.run(Job(frame_format, create), bytes(64))


async def test_a_native_frame_of_the_wrong_size_never_reaches_the_encoder(
    running_workers, odd_codecs, frame_format
):
    async with running_workers() as workers:
        with pytest.raises(CodecError, match="a native frame of 63 bytes, 64 expected"):
            await workers.run(Job(frame_format, b"", pickle.dumps(odd_codecs.Copy)), bytes(63))


async def test_a_cancelled_request_takes_its_process_with_it(running_workers, job):
    async with running_workers() as workers:
        before = await pid_of(workers, job)
        with anyio.move_on_after(0.2):
            await workers.run(job, word("hang"))
        assert is_gone(before)
        assert not workers.pids
        assert await pid_of(workers, job) != before


async def test_a_process_that_died_while_idle_is_not_used(running_workers, job):
    async with running_workers() as workers:
        before = await pid_of(workers, job)
        os.kill(before, signal.SIGKILL)
        os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
        assert await pid_of(workers, job) != before


async def test_signals_to_the_whole_group_leave_workers_to_the_node(running_workers, job):
    async with running_workers() as workers:
        before = await pid_of(workers, job)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(before, number)
        assert await pid_of(workers, job) == before


async def test_idle_processes_end(running_workers, job):
    async with running_workers(idle=0.05) as workers:
        pid = await pid_of(workers, job)
        with anyio.fail_after(60):
            while workers.pids:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert is_gone(pid)


async def test_stopping_leaves_no_process(running_workers, job):
    async with running_workers(workers=2) as workers:
        pids = {await pid_of(workers, job)}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(workers.run, job, word("hang"))
            await workers.run(job, bytes(64))
            pids |= workers.pids
            tasks.cancel_scope.cancel()
    assert all(is_gone(pid) for pid in pids)


async def test_a_worker_sees_little_of_the_environment(running_workers, odd_codecs, monkeypatch):
    monkeypatch.setenv("PACS_SECRET", "hunter2")
    form = FrameFormat(128, 128, 1, 8, 8, False, "MONOCHROME2")
    async with running_workers() as workers:
        job = Job(form, pickle.dumps(odd_codecs.Odd))
        seen = bytes((await workers.run(job, word("environment"))).data)
    assert b"PATH" in seen
    assert b"hunter2" not in seen


async def test_nothing_runs_after_the_stop(odd_codecs, job):
    workers = CodecWorkers(WorkerLimits(workers=1))
    await workers.stop()
    with pytest.raises(CodecCrashedError, match="stopped"):
        await workers.run(job, bytes(64))


_PARENT = """
import pickle, sys
sys.path[:] = {path!r}
import anyio, odd_codecs
from pacs_core.contracts import FrameFormat
from pacs_core.transcoding import CodecWorkers, Job, WorkerLimits

async def main():
    workers = CodecWorkers(WorkerLimits(workers=2))
    job = Job(FrameFormat(8, 8, 1, 8, 8, False, "MONOCHROME2"), pickle.dumps(odd_codecs.Odd))
    async def hang():
        await workers.run(job, {what!r}.encode().ljust(64, b"\\0"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hang)
        await workers.run(job, bytes(64))
        while len(workers.pids) < 2:
            await anyio.sleep(0.01)
        print(*workers.pids, flush=True)

anyio.run(main)
"""


@pytest.mark.parametrize("what", ["hang", "spin"])
def test_no_process_outlives_a_killed_node(odd_codecs, what):
    code = _PARENT.format(path=sys.path, what=what)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    until(lambda: all(is_gone(pid) for pid in pids))
