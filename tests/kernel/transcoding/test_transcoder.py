"""Datasets come out in another form, frame by frame, and are the same images."""

import os
from contextlib import asynccontextmanager
from struct import pack

import anyio
import pytest
from attrs import evolve, frozen

from pacs_core.contracts import (
    Action,
    CodecDescriptor,
    EncodeOptions,
    Frame,
    PassThrough,
    Peer,
    Plan,
    TranscodingError,
    TransferPolicy,
    VerificationError,
)
from pacs_core.dataset import (
    Deflater,
    element_header,
    encode_attributes,
    encoding_of,
    parse_attributes,
    tag_of,
    texts,
    transfer_syntax_uid,
)
from pacs_core.imaging import (
    SEQUENCE_END,
    EncapsulatedFrames,
    NativeFrames,
    NativeWriter,
    encapsulate,
    frame_item,
    image_of,
)
from pacs_core.transcoding import (
    NodeTranscoder,
    Planner,
    codec_table,
    errors,
    image_conversion,
    transcoder,
)
from pacs_core.transcoding.spool import Spool

pytestmark = pytest.mark.anyio

IMPLICIT, EXPLICIT, BIG, DEFLATED = NATIVE = tuple(
    map(transfer_syntax_uid, ("implicit", "explicit", "big endian", "deflated"))
)
J2K = transfer_syntax_uid("JPEG 2000 Lossless")
J2K_LOSSY = transfer_syntax_uid("JPEG 2000")
HTJ2K = transfer_syntax_uid("HTJ2K Lossless")
HTJ2K_LOSSY = transfer_syntax_uid("HTJ2K")
MARKER = b"\xff\x4f\xff\x51"


def attributes(frames=3, **changes):
    values = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.3",
        "SOPInstanceUID": "1.2.3.4",
        "ImageType": "ORIGINAL",
        "PatientID": "P1",
        "SamplesPerPixel": "1",
        "PhotometricInterpretation": "MONOCHROME2",
        "NumberOfFrames": str(frames),
        "Rows": "5",
        "Columns": "7",
        "BitsAllocated": "16",
        "BitsStored": "12",
        "HighBit": "11",
        "PixelRepresentation": "0",
    }
    return {tag_of(name): (value,) for name, value in sorted_by_tag({**values, **changes})}


def sorted_by_tag(values):
    return sorted(
        ((k, v) for k, v in values.items() if v is not None), key=lambda item: tag_of(item[0])
    )


TRAILING = b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0abcd"


def dataset(uid, frames, trailing=True, **changes):
    """Return an encoded dataset of frames by pixel, little endian."""
    described = attributes(len(frames), **changes)
    header = encode_attributes(described, EXPLICIT if uid == DEFLATED else uid)
    image = image_of(described)
    encoding = encoding_of(uid)
    end = element_header(0xFFFC_FFFC, "OB", 4, uid) + b"abcd" if trailing else b""
    if encoding.encapsulated:
        codestreams = [MARKER + frame[::-1] for frame in frames]
        value = encapsulate([len(each) for each in codestreams])
        value += b"".join(part for each in codestreams for part in frame_item(each))
        return header + value + SEQUENCE_END + end
    writer = NativeWriter(image.format, image.frames, encoding)
    value = writer.header + b"".join(writer.add(frame) for frame in frames) + writer.finish()
    whole = header + value + end
    if not encoding.deflated:
        return whole
    deflater = Deflater()
    return deflater.feed(whole) + deflater.finish()


@frozen
class Read:
    """What a dataset holds."""

    attributes: dict
    frames: list
    trailing: bytes


def read(uid, data):
    if uid == DEFLATED:
        from zlib import decompress

        return read(EXPLICIT, decompress(data, wbits=-15))
    order = "<" if encoding_of(uid).little_endian else ">"
    start = data.index(pack(order + "HH", 0x7FE0, 0x0010))
    header = parse_attributes(data[:start], uid)
    image = image_of(header)
    if encoding_of(uid).encapsulated:
        parser = EncapsulatedFrames(image, uid)
        frames = parser.feed(data[start + 12 :])
        return Read(header, frames, parser.rest)
    start += 8 if uid == IMPLICIT else 12
    vr = "OW" if uid == IMPLICIT else data[start - 8 : start - 6].decode()
    length = int.from_bytes(data[start - 4 : start], "little" if order == "<" else "big")
    parser = NativeFrames(image, length, order == "<", vr)
    return Read(header, parser.feed(data[start : start + length]), data[start + length :])


@pytest.fixture
def running_transcoder(running_workers, monkeypatch, odd_codecs):
    """Return a context manager of a running transcoder, by default with the plain codecs."""
    import plain_codecs

    @asynccontextmanager
    async def running(table=None, **limits):
        default = [
            CodecDescriptor("plain", {J2K}, {J2K}, plain_codecs.Backwards),
            CodecDescriptor("reversible", {HTJ2K}, {HTJ2K}, plain_codecs.Reversible),
            CodecDescriptor("lossy", set(), {J2K_LOSSY}, plain_codecs.Lossy),
        ]
        planner = Planner(codec_table(table or default))
        async with running_workers(**limits) as workers, anyio.create_task_group() as tasks:
            yield NodeTranscoder(planner, workers, tasks)

    return running


async def chunked(data, size=1000):
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def converted(running, source, target, data, size=1000, peer=None):
    plan = running.plan(source, {target}, peer)
    assert plan.action is Action.TRANSCODE, plan.reason
    return b"".join([bytes(each) async for each in running.transcode(plan, chunked(data, size))])


FRAMES = [os.urandom(70) for _ in range(3)]
FRAMES[0] = b"\0" * 70


@pytest.mark.parametrize("target", [*NATIVE, J2K])
@pytest.mark.parametrize("source", [*NATIVE, J2K, HTJ2K])
async def test_every_form_to_every_other(running_transcoder, source, target):
    if source == target:
        return
    data = dataset(source, FRAMES)
    async with running_transcoder() as running:
        outcomes = {
            await converted(running, source, target, data, size) for size in (1, 7, 100_000)
        }
    (outcome,) = outcomes
    assert outcome[-4:] == b"abcd" or target == DEFLATED
    assert read(target, outcome) == read(target, dataset(target, FRAMES))


@pytest.mark.parametrize("planar", ["0", "1"])
async def test_colour_follows_the_codec(running_transcoder, planar):
    frames = [os.urandom(5 * 7 * 3) for _ in range(2)]
    colour = {
        "SamplesPerPixel": "3",
        "PhotometricInterpretation": "RGB",
        "BitsAllocated": "8",
        "BitsStored": "8",
        "HighBit": "7",
    }
    data = dataset(EXPLICIT, frames, PlanarConfiguration=planar, **colour)
    by_pixel = read(EXPLICIT, data).frames
    async with running_transcoder() as running:
        encoded = await converted(running, EXPLICIT, HTJ2K, data)
        decoded = await converted(running, HTJ2K, EXPLICIT, encoded)
    names = [
        texts(read(uid, each).attributes, tag_of("PhotometricInterpretation"))
        for uid, each in ((HTJ2K, encoded), (EXPLICIT, decoded))
    ]
    assert names == [("YBR_RCT",), ("RGB",)]
    assert read(EXPLICIT, decoded).frames == by_pixel
    padded = [MARKER + frame[::-1] + b"\0" for frame in by_pixel]
    assert read(HTJ2K, encoded).frames == padded


@pytest.mark.parametrize("target", [IMPLICIT, BIG, DEFLATED, HTJ2K])
async def test_without_pixel_data_only_the_encoding_changes(running_transcoder, target):
    values = {tag_of("SOPInstanceUID"): ("1.2.3",), tag_of("PatientID"): ("P1",)}
    async with running_transcoder() as running:
        outcome = await converted(running, J2K, target, encode_attributes(values, J2K))
    assert parse_attributes(outcome, target) == values


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
async def test_floating_point_pixels(running_transcoder, keyword):
    vr, tag = ("OF" if keyword.startswith("F") else "OD"), tag_of(keyword)
    header = encode_attributes(attributes(1), EXPLICIT)
    data = header + element_header(tag, vr, 8, EXPLICIT) + b"12345678"
    async with running_transcoder() as running:
        with pytest.raises(TranscodingError, match="floating point"):
            await converted(running, EXPLICIT, J2K, data)
        implicit = await converted(running, EXPLICIT, IMPLICIT, data)
        explicit = await converted(running, J2K, IMPLICIT, data)
    assert implicit == explicit
    assert implicit.endswith(element_header(tag, vr, 8, IMPLICIT) + b"12345678")


async def test_lossy_compression_is_told_in_the_dataset(running_transcoder):
    options = EncodeOptions(quality=80.0)
    policy = TransferPolicy((), (J2K_LOSSY,), True, options, new_uid=True)
    peer = Peer("PEER", "host", 104, transfer=policy)
    async with running_transcoder() as running:
        data = dataset(EXPLICIT, FRAMES)
        outcome = read(
            J2K_LOSSY, await converted(running, EXPLICIT, J2K_LOSSY, data, peer=peer)
        ).attributes
        plan = running.plan(EXPLICIT, {J2K_LOSSY}, peer)
    assert texts(outcome, tag_of("LossyImageCompression")) == ("01",)
    assert texts(outcome, tag_of("LossyImageCompressionMethod")) == ("ISO_15444_1",)
    assert float(texts(outcome, tag_of("LossyImageCompressionRatio"))[0]) == pytest.approx(70 / 11)
    assert texts(outcome, tag_of("SOPInstanceUID")) == (plan.sop_instance_uid("1.2.3.4"),)
    assert texts(outcome, tag_of("ImageType"))[0] == "DERIVED"


async def first_chunk(running, plan, data):
    stream = running.transcode(plan, chunked(data))
    try:
        return await anext(stream)
    finally:
        await stream.aclose()


@pytest.mark.parametrize(
    ("source", "target", "spoil", "message"),
    [
        (EXPLICIT, J2K, lambda d: d.replace(FRAMES[2], b"\xee" * 70), "frame 3: it begins with EE"),
        (
            J2K,
            EXPLICIT,
            lambda d: d.replace(FRAMES[2][::-1], b"\xee" * 70),
            "frame 3: it begins wi",
        ),
        (J2K, EXPLICIT, lambda d: d[:-60], "ends before the Sequence Delimitation Item"),
        (EXPLICIT, J2K, lambda d: d.replace(b"MONOCHROME2", b"MONOCHROME9"), "unknown"),
        (EXPLICIT, J2K, lambda d: d.replace(b"MONOCHROME2 ", b"RGB" + b" " * 9), "SamplesPer"),
        (EXPLICIT, J2K, lambda d: d[:-60], "Pixel Data ends after"),
        (EXPLICIT, J2K, lambda d: d[:40], "truncated"),
        (EXPLICIT, IMPLICIT, lambda d: d[:-2], "truncated"),
        (DEFLATED, J2K, lambda d: d[:-20], "deflate stream is truncated"),
        (DEFLATED, J2K, lambda d: b"\xff" + d, "no deflate stream"),
    ],
)
async def test_what_fails_fails_before_the_first_chunk(
    running_transcoder, source, target, spoil, message
):
    async with running_transcoder() as running:
        plan = Plan(
            Action.TRANSCODE,
            source,
            target,
            decoder="plain" if source == J2K else "",
            encoder="plain" if encoding_of(target).encapsulated else "",
        )
        data = spoil(dataset(source, FRAMES, trailing=False))
        with pytest.raises(TranscodingError, match=message):
            await first_chunk(running, plan, data)


async def test_frames_that_contradict_each_other_are_refused(running_transcoder, odd_codecs):
    import plain_codecs

    frames = [bytes([number]) * 70 for number in range(2)]
    fickle = CodecDescriptor("fickle", {J2K}, {J2K}, plain_codecs.Fickle)
    async with running_transcoder([fickle]) as running:
        with pytest.raises(TranscodingError, match="no dataset can say both"):
            await converted(running, J2K, EXPLICIT, dataset(J2K, frames))


async def test_a_crash_keeps_its_kind_and_names_the_frame(running_transcoder, odd_codecs):
    from pacs_core.transcoding import CodecCrashedError

    odd = CodecDescriptor("odd", {J2K}, set(), odd_codecs.Odd)
    frames = [bytes(70), bytes(70), b"crash".ljust(70, b"\0")]
    codestreams = encapsulate([70] * 3) + b"".join(p for f in frames for p in frame_item(f))
    data = encode_attributes(attributes(3), J2K) + codestreams + SEQUENCE_END
    async with running_transcoder([odd]) as running:
        with pytest.raises(CodecCrashedError, match=r"to Explicit VR Little Endian: frame 3: the"):
            await converted(running, J2K, EXPLICIT, data)
        whole = await converted(running, J2K, EXPLICIT, data.replace(b"crash", b"\0" * 5))
    assert len(read(EXPLICIT, whole).frames) == 3


async def test_a_large_image_that_breaks_in_its_last_frame_has_sent_nothing(
    running_transcoder, odd_codecs, monkeypatch
):
    """An association would have to be aborted in the middle of a dataset."""
    monkeypatch.setattr(transcoder, "Spool", lambda: Spool(100))
    odd = CodecDescriptor("odd", {J2K}, set(), odd_codecs.Odd)
    frames = [bytes(70)] * 20 + [b"crash".ljust(70, b"\0")]
    codestreams = encapsulate([70] * 21) + b"".join(p for f in frames for p in frame_item(f))
    data = encode_attributes(attributes(21), J2K) + codestreams + SEQUENCE_END
    async with running_transcoder([odd]) as running:
        chunks = running.transcode(running.plan(J2K, {EXPLICIT}), chunked(data, 50))
        with pytest.raises(errors.CodecCrashedError, match="frame 21"):
            await anext(chunks)


async def test_a_refused_plan_is_an_error(running_transcoder):
    async with running_transcoder() as running:
        plan = running.plan(EXPLICIT, ())
        with pytest.raises(TranscodingError, match="accepts no transfer syntax"):
            await first_chunk(running, plan, b"")


async def test_pass_through_hands_on_the_very_chunks(running_transcoder):
    chunks = [b"any", memoryview(b"thing")]

    async def stream():
        for chunk in chunks:
            yield chunk

    async with running_transcoder() as running:
        plan = running.plan(J2K, {J2K})
        assert [chunk async for chunk in running.transcode(plan, stream())] == chunks


async def test_small_pieces_come_together(running_transcoder):
    data = dataset(EXPLICIT, FRAMES)
    async with running_transcoder() as running:
        for target in (IMPLICIT, J2K):
            plan = running.plan(EXPLICIT, {target})
            assert len([chunk async for chunk in running.transcode(plan, chunked(data, 9))]) == 1


async def test_no_more_is_read_than_workers_can_take(running_transcoder, monkeypatch):
    frames = [bytes([number]) * 70 for number in range(100)]
    served = taken = most = 0

    class Watched(Spool):
        async def add(self, chunk):
            nonlocal taken, most
            taken += len(chunk) == 70
            most = max(most, served - taken)
            await super().add(chunk)

    monkeypatch.setattr(transcoder, "Spool", Watched)
    monkeypatch.setattr(transcoder, "_SMALL", 1)

    async def slowly():
        nonlocal served
        data = dataset(J2K, frames, trailing=False)
        for start in range(0, len(data), 82):
            served += 1
            yield data[start : start + 82]

    async with running_transcoder(workers=2) as running:
        async for _ in running.transcode(running.plan(J2K, {EXPLICIT}), slowly()):
            assert taken == 100
    # The header and the offset table, and what is in flight
    assert most <= 12 + 3 + 3


async def test_an_iteration_that_is_given_up_ends_its_frames(running_transcoder, odd_codecs):
    odd = CodecDescriptor("odd", {J2K}, set(), odd_codecs.Odd)
    frames = [bytes(70), b"hang".ljust(70, b"\0")]
    codestreams = encapsulate([70] * 2) + b"".join(p for f in frames for p in frame_item(f))
    data = encode_attributes(attributes(2), J2K) + codestreams + SEQUENCE_END
    async with running_transcoder([odd]) as running:
        with anyio.move_on_after(0.3):
            await converted(running, J2K, EXPLICIT, data)
    # The task group in which frames are waited for has ended, so none is.


@pytest.mark.parametrize("room", [0, 100, 1000])
async def test_encoded_frames_wait_in_memory_or_in_a_file(running_transcoder, monkeypatch, room):
    monkeypatch.setattr(image_conversion, "Spool", lambda _: Spool(room))
    async with running_transcoder() as running:
        outcome = await converted(running, EXPLICIT, J2K, dataset(EXPLICIT, FRAMES))
    assert read(J2K, outcome) == read(J2K, dataset(J2K, FRAMES))


async def test_a_header_without_end_is_refused(running_transcoder):
    async def endless():
        yield encode_attributes({tag_of("PatientID"): ("P",)}, EXPLICIT)
        yield element_header(0x0042_0011, "OB", 1 << 31, EXPLICIT)
        while True:
            yield bytes(1 << 20)

    async with running_transcoder() as running:
        with pytest.raises(TranscodingError, match="more than 64 MiB come before"):
            async for _ in running.transcode(running.plan(EXPLICIT, {J2K}), endless()):
                pass


@pytest.fixture
def recompressing(running_transcoder):
    """Return a running transcoder whose codec turns codestreams around."""
    import plain_codecs

    pairs = {(J2K_LOSSY, HTJ2K_LOSSY), (HTJ2K_LOSSY, J2K_LOSSY)}
    codec = CodecDescriptor(
        "forwards", {J2K_LOSSY}, set(), plain_codecs.Forwards, recompresses=pairs
    )
    return running_transcoder([codec])


LOSSY = {
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": "12.5",
    "LossyImageCompressionMethod": "ISO_15444_1",
}


async def test_codestreams_are_recompressed_without_another_loss(recompressing):
    data = dataset(J2K_LOSSY, FRAMES, **LOSSY)
    async with recompressing as running:
        outcome = await converted(running, J2K_LOSSY, HTJ2K_LOSSY, data)
        back = await converted(running, HTJ2K_LOSSY, J2K_LOSSY, outcome)
    assert read(HTJ2K_LOSSY, outcome).frames == [MARKER + frame for frame in FRAMES]
    assert read(HTJ2K_LOSSY, outcome).attributes == read(J2K_LOSSY, data).attributes
    assert outcome.endswith(b"abcd")
    assert back == data


async def test_a_conversion_that_is_not_lossless_fails_before_anything_comes_out(
    running_transcoder,
):
    """And leaves the transcoder as it was; unverified, it would not be noticed."""
    import plain_codecs

    wrong = CodecDescriptor("wrong", {J2K}, {J2K}, plain_codecs.WrongOnce)
    frames = [*FRAMES[:2], b"\x77\x77" + FRAMES[2][2:]]
    data = dataset(EXPLICIT, frames)
    async with running_transcoder([wrong]) as running:
        plan = running.plan(EXPLICIT, {J2K})
        assert await first_chunk(running, plan, data)
        with pytest.raises(VerificationError, match=r"frame 3: .* by wrong, 1 of 35 samples"):
            await first_chunk(running, evolve(plan, verify=True), data)
        assert await first_chunk(running, evolve(plan, verify=True), dataset(EXPLICIT, FRAMES))


@pytest.mark.parametrize("target", [HTJ2K, DEFLATED])
async def test_what_is_verified_is_the_same_as_what_is_not(running_transcoder, target):
    data = dataset(J2K, FRAMES)
    async with running_transcoder() as running:
        plan = running.plan(J2K, {target})
        plain, verified = [
            b"".join([bytes(each) async for each in running.transcode(each_plan, chunked(data))])
            for each_plan in (plan, evolve(plan, verify=True))
        ]
    assert plain == verified


async def test_a_codestream_that_cannot_be_recompressed_is_refused(recompressing):
    data = dataset(J2K_LOSSY, [*FRAMES[:2], b"\xee" * 70], **LOSSY)
    async with recompressing as running:
        plan = running.plan(J2K_LOSSY, {HTJ2K_LOSSY})
        with pytest.raises(TranscodingError, match="frame 3: it begins with EEEE"):
            await first_chunk(running, plan, data)


async def test_a_codec_that_does_not_recompress_says_so(running_transcoder):
    import plain_codecs

    pairs = {(J2K_LOSSY, HTJ2K_LOSSY)}
    codec = CodecDescriptor("plain", set(), set(), plain_codecs.Backwards, recompresses=pairs)
    async with running_transcoder([codec]) as running:
        with pytest.raises(TranscodingError, match=r"does not recompress to .*\.203"):
            await converted(running, J2K_LOSSY, HTJ2K_LOSSY, dataset(J2K_LOSSY, FRAMES))


async def stored_frames(uid, frames, **changes):
    """Give frames as the archive does, and close when the reader has had enough."""
    image = image_of(attributes(len(frames), **changes))
    encapsulated = encoding_of(uid).encapsulated
    for number, frame in enumerate(frames, 1):
        data = MARKER + frame[::-1] if encapsulated else frame
        await anyio.lowlevel.checkpoint()
        yield Frame(number, data, uid, image.format, image.low_bits)


@pytest.mark.parametrize("target", [*NATIVE, J2K])
@pytest.mark.parametrize("source", [EXPLICIT, J2K, HTJ2K])
async def test_single_frames_come_in_an_accepted_syntax(running_transcoder, source, target):
    async with running_transcoder() as running:
        found = [f async for f in running.frames(stored_frames(source, FRAMES), {target})]
    assert [frame.number for frame in found] == [1, 2, 3]
    wanted = EXPLICIT if target in NATIVE else target
    assert {frame.transfer_syntax_uid for frame in found} == {wanted}
    codestreams = [MARKER + frame[::-1] for frame in FRAMES]
    assert [frame.data for frame in found] == (FRAMES if target in NATIVE else codestreams)


async def test_frames_pass_as_they_are_where_they_may(running_transcoder):
    async with running_transcoder() as running:
        stored = [frame async for frame in stored_frames(J2K, FRAMES)]
        found = [f async for f in running.frames(stored_frames(J2K, FRAMES), {EXPLICIT, J2K})]
    assert found == stored


async def test_planes_become_pixels_before_they_are_encoded(running_transcoder):
    frames = [bytes(range(105))]
    colour = {
        "SamplesPerPixel": "3",
        "PhotometricInterpretation": "RGB",
        "BitsAllocated": "8",
        "BitsStored": "8",
        "HighBit": "7",
        "PlanarConfiguration": "1",
    }
    async with running_transcoder() as running:
        stored = stored_frames(EXPLICIT, frames, **colour)
        (found,) = [f async for f in running.frames(stored, {J2K})]
    by_pixel = bytes(plane + n for n in range(35) for plane in (0, 35, 70))
    assert found.data == MARKER + by_pixel[::-1]
    assert found.format.planar_configuration == 0


async def test_a_frame_that_cannot_be_had_is_named(running_transcoder):
    async with running_transcoder() as running:
        with pytest.raises(TranscodingError, match=r"frame 1: .*lossy"):
            _ = [f async for f in running.frames(stored_frames(J2K, FRAMES), {J2K_LOSSY})]

        async def broken():
            async for frame in stored_frames(HTJ2K, FRAMES):
                yield evolve(frame, number=frame.number + 40, data=b"none")

        with pytest.raises(TranscodingError, match="frame 41: "):
            _ = [f async for f in running.frames(broken(), {EXPLICIT})]


async def test_who_leaves_gives_up_what_is_under_way(running_transcoder):
    closed = []

    async def endless():
        try:
            while True:
                async for frame in stored_frames(J2K, FRAMES):
                    yield frame
        finally:
            closed.append(True)

    async with running_transcoder() as running:
        frames = running.frames(endless(), {EXPLICIT})
        assert (await anext(frames)).data == FRAMES[0]
        await frames.aclose()
        assert closed == [True]


async def test_without_codecs_frames_pass_or_do_not():
    through = PassThrough()
    assert [f.number async for f in through.frames(stored_frames(J2K, FRAMES), {J2K})] == [1, 2, 3]
    with pytest.raises(TranscodingError, match="frame 1: the peer does not accept"):
        _ = [f async for f in through.frames(stored_frames(J2K, FRAMES), {EXPLICIT})]
