"""Files are converted whole by a worker, or frame by frame, and are never half there."""

from contextlib import asynccontextmanager

import anyio
import pytest

from pacs_core.contracts import Action, CodecDescriptor, Plan, TranscodingError
from pacs_core.dataset import (
    encode_attributes,
    file_meta,
    tag_of,
    transfer_syntax_uid,
)
from pacs_core.imaging import SEQUENCE_END, encapsulate, frame_item
from pacs_core.transcoding import (
    FileConversion,
    NodeTranscoder,
    Planner,
    codec_table,
    convert_file,
    decode_frame,
    files,
    start_early,
)
from pacs_core.transcoding.workers import whole_file
from pacs_core.transcoding.workers.protocol import Coders

pytestmark = pytest.mark.anyio

EXPLICIT, J2K, RLE, MPEG = map(
    transfer_syntax_uid, ("explicit", "J2K Lossless", "RLE", "1.2.840.10008.1.2.4.100")
)
UID = "1.2.3.4"
IMAGE = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2",
    "SOPInstanceUID": UID,
    "SamplesPerPixel": "1",
    "PhotometricInterpretation": "MONOCHROME2",
    "NumberOfFrames": "3",
    "Rows": "8",
    "Columns": "8",
    "BitsAllocated": "8",
    "BitsStored": "8",
    "HighBit": "7",
    "PixelRepresentation": "0",
}
HEAD = file_meta(IMAGE["SOPClassUID"], UID, EXPLICIT)


def dataset(*words):
    """Return a dataset of three frames, in a form of which the odd codec is the decoder."""
    frames = [word.encode().ljust(64, b"\0") for word in words or ("", "", "")]
    header = encode_attributes({tag_of(k): (v,) for k, v in IMAGE.items()}, J2K)
    value = encapsulate([len(frame) for frame in frames])
    return header + value + b"".join(p for f in frames for p in frame_item(f)) + SEQUENCE_END


@pytest.fixture
def running(odd_codecs, running_workers):
    """Return a context manager of a transcoder that decodes with the odd codec."""
    odd = CodecDescriptor("odd", frozenset({J2K}), frozenset(), odd_codecs.Odd)

    @asynccontextmanager
    async def run(**limits):
        async with (
            running_workers(files=True, **limits) as workers,
            anyio.create_task_group() as tasks,
        ):
            yield NodeTranscoder(Planner(codec_table([odd])), workers, tasks)

    return run


@pytest.fixture
def conversion(tmp_path):
    """Return a function that writes a dataset, and says to decode it."""

    def make(data, target="out.dcm", **changes):
        (tmp_path / "in.dcm").write_bytes(b"before" + data)
        plan = changes.pop("plan", Plan(Action.TRANSCODE, J2K, EXPLICIT, decoder="odd"))
        source, to = tmp_path / "in.dcm", tmp_path / target
        return FileConversion(plan, source, 6, len(data), to, HEAD, **changes)

    return make


@pytest.fixture(params=["whole", "by frames"])
def way(request, monkeypatch):
    """Convert in each of the ways that there are."""
    if request.param == "by frames":
        monkeypatch.setattr(files, "MAX_FILE", 0)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


async def test_a_file_is_converted(running, conversion, tmp_path, way):
    async with running() as transcoder:
        await convert_file(transcoder, conversion(dataset()))
    assert names(tmp_path) == ["in.dcm", "out.dcm"]
    written = (tmp_path / "out.dcm").read_bytes()
    assert written.startswith(HEAD)
    assert written.endswith(bytes(3 * 64))


async def test_what_needs_no_conversion_is_copied(running, conversion, tmp_path, way):
    plan = Plan(Action.PASS_THROUGH, J2K, J2K)
    async with running() as transcoder:
        await convert_file(transcoder, conversion(b"any bytes", plan=plan))
    assert (tmp_path / "out.dcm").read_bytes() == HEAD + b"any bytes"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("", "refuse", ""), "frame 2: marker FFD9 at 17, expected FFDA"),
        (("", "", "crash"), "SIGSEGV"),
        (("hang", "", ""), "took more than 4 s"),
        (("", "eat", ""), "MiB of memory"),
        (("", "exit", ""), "exit code 3"),
        (("", "babble", ""), "nonsense"),
    ],
)
async def test_nothing_is_left_of_a_failure(running, conversion, tmp_path, way, words, reason):
    # Time enough for all others to start on a busy machine.
    timeout = 4.0 if "hang" in words else 50.0
    async with running(timeout=timeout, memory=1 << 30) as transcoder:
        with pytest.raises(TranscodingError, match=reason):
            await convert_file(transcoder, conversion(dataset(*words)))
        assert names(tmp_path) == ["in.dcm"]
        await convert_file(transcoder, conversion(dataset()))
    assert names(tmp_path) == ["in.dcm", "out.dcm"]


async def test_a_cancelled_conversion_leaves_nothing(running, conversion, tmp_path, way):
    async with running() as transcoder:
        with anyio.move_on_after(0.5):
            await convert_file(transcoder, conversion(dataset("", "hang", "")))
    assert names(tmp_path) == ["in.dcm"]


async def test_what_is_there_is_replaced_only_if_asked(running, conversion, tmp_path, way):
    (tmp_path / "out.dcm").write_text("mine")
    async with running() as transcoder:
        with pytest.raises((TranscodingError, FileExistsError)):
            await convert_file(transcoder, conversion(dataset()))
        assert (tmp_path / "out.dcm").read_text() == "mine"
        await convert_file(transcoder, conversion(dataset(), overwrite=True))
    assert (tmp_path / "out.dcm").read_bytes().startswith(HEAD)
    assert names(tmp_path) == ["in.dcm", "out.dcm"]


async def test_a_file_may_replace_itself(running, conversion, tmp_path, way):
    async with running() as transcoder:
        await convert_file(transcoder, conversion(dataset(), "in.dcm", overwrite=True))
    assert (tmp_path / "in.dcm").read_bytes().startswith(HEAD)


async def test_no_folder_and_no_source(running, conversion, tmp_path, way):
    shorter = conversion(dataset())
    (tmp_path / "in.dcm").write_bytes(b"before")
    async with running() as transcoder:
        with pytest.raises((TranscodingError, OSError), match="shorter"):
            await convert_file(transcoder, shorter)
        with pytest.raises((TranscodingError, OSError), match="No such file"):
            await convert_file(transcoder, conversion(dataset(), "none/out.dcm"))
    assert names(tmp_path) == ["in.dcm"]


async def test_many_frames_are_shared_by_workers(running, conversion, tmp_path, monkeypatch):
    asked = []

    async def too_large(self, job):
        asked.append(job.source)
        return False

    monkeypatch.setattr("pacs_core.transcoding.CodecWorkers.run_file", too_large)
    async with running() as transcoder:
        await convert_file(transcoder, conversion(dataset()))
    assert asked == [str(tmp_path / "in.dcm")]
    assert (tmp_path / "out.dcm").read_bytes().endswith(bytes(3 * 64))


def test_a_worker_says_that_a_file_is_too_large(odd_codecs, conversion, tmp_path, monkeypatch):
    monkeypatch.setattr(whole_file, "_MAX_NATIVE", 2 * 64)
    wanted = conversion(dataset())
    draft = tmp_path / "draft"
    job = whole_file.FileJob(
        wanted.plan, str(wanted.source), 6, wanted.length, str(wanted.target), HEAD, str(draft),
        coders=Coders(b"odd"),
    )  # fmt: skip
    copied = lambda job, frame: (frame[: job.format.size], job.format)  # noqa: E731
    assert whole_file.convert_file(job, copied) is whole_file.JobStatus.TOO_LARGE
    assert names(tmp_path) == ["in.dcm"]
    monkeypatch.setattr(whole_file, "_MAX_NATIVE", 3 * 64)
    assert whole_file.convert_file(job, copied) is whole_file.JobStatus.DONE
    assert names(tmp_path) == ["in.dcm", "out.dcm"]


async def test_workers_that_run_already_are_used(running_workers):
    with start_early(2) as started:
        pids = {worker.pid for worker in started}
        async with running_workers(workers=2, started=started, files=True) as workers:
            assert workers.pids == pids
        assert not any(worker.is_alive for worker in started)


async def test_workers_with_other_limits_are_not(running_workers):
    with start_early(2) as started:
        async with running_workers(workers=2, started=started, cpu_time=7.0) as workers:
            assert workers.pids == frozenset()
        assert not any(worker.is_alive for worker in started)


async def chunks(data):
    yield data


async def test_one_frame_is_decoded(running):
    async with running() as transcoder:
        frame = await decode_frame(transcoder, J2K, chunks(dataset("", "pid", "")), 2)
        assert int.from_bytes(frame.data[:4], "big") in transcoder.workers.pids
        assert (frame.number, frame.format.size) == (2, 64)
        assert frame.attributes[tag_of("SOPInstanceUID")] == (UID,)
        assert frame.header == encode_attributes(frame.attributes, EXPLICIT)


@pytest.mark.parametrize(
    ("uid", "number", "reason"),
    [
        (J2K, 0, "there is no frame 0: the image has 3"),
        (J2K, 4, "there is no frame 4"),
        (J2K, 3, "frame 3: marker FFD9"),
        (MPEG, 1, "is a video"),
        (RLE, 1, "no installed codec decodes RLE"),
    ],
)
async def test_a_frame_that_cannot_be_had(running, uid, number, reason):
    async with running() as transcoder:
        with pytest.raises(TranscodingError, match=reason):
            await decode_frame(transcoder, uid, chunks(dataset("", "", "refuse")), number)


async def test_a_dataset_without_pixels_and_a_torn_one(running):
    header = encode_attributes({tag_of(k): (v,) for k, v in IMAGE.items()}, EXPLICIT)
    async with running() as transcoder:
        with pytest.raises(TranscodingError, match="no Pixel Data"):
            await decode_frame(transcoder, EXPLICIT, chunks(header))
        with pytest.raises(TranscodingError, match="truncated"):
            await decode_frame(transcoder, EXPLICIT, chunks(header[:-1]))
