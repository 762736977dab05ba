"""What was encoded without loss is decoded again, and compared, before it is answered."""

import pickle
import zlib

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from pacs_core.contracts import (
    Action,
    Codec,
    CodecDescriptor,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    FrameFormat,
    Plan,
    TranscodingError,
    VerificationError,
)
from pacs_core.dataset import MalformedDataset, transfer_syntax_uid
from pacs_core.dataset.inflate import inflate
from pacs_core.transcoding import Job, Planner, codec_table, deflation
from pacs_core.transcoding.frame_work import Codecs, convert
from pacs_core.transcoding.table import pickle_codecs
from pacs_core.transcoding.verification import is_same_codestream, verify
from pacs_core.transcoding.workers.protocol import Proof

pytestmark = pytest.mark.anyio

EXPLICIT, DEFLATED, J2K, J2K_LOSSY, HTJ2K = map(
    transfer_syntax_uid, ("explicit", "deflated", "JPEG 2000 Lossless", "JPEG 2000", "HTJ2K")
)
GREY = FrameFormat(4, 5, 1, 8, 8, False, "MONOCHROME2")
FRAME = bytes(range(100, 120))


class Copy(Codec):
    """Keeps a frame as it is; others do something to what they decode."""

    def decode(self, codestream, frame):
        return DecodedFrame(codestream, frame)

    def encode(self, data, frame, options):
        return EncodedFrame(data, frame)

    def recompress(self, codestream, frame, target):
        return EncodedFrame(codestream[::-1], frame)


class ChangesOneBit(Copy):
    def decode(self, codestream, frame):
        return DecodedFrame(codestream[:-1] + bytes([codestream[-1] ^ 1]), frame)


class Refuses(Copy):
    def decode(self, codestream, frame):
        raise CodecError("it is of a kind that I do not know")

    def recompress(self, codestream, frame, target):
        raise CodecError("nor this")


class Shortens(Copy):
    def decode(self, codestream, frame):
        return DecodedFrame(codestream[:-1], frame)


class Inverts(Copy):
    def decode(self, codestream, frame):
        return DecodedFrame(codestream, evolve(frame, photometric_interpretation="MONOCHROME1"))


class Unstable(Copy):
    """Recompresses one way only, as where several codestreams stand for one."""

    def recompress(self, codestream, frame, target):
        return EncodedFrame(codestream + b"\0\0", frame)


class Lengthened(Copy):
    """Decodes what `Unstable` has made."""

    def decode(self, codestream, frame):
        return DecodedFrame(codestream[: frame.size], frame)


def run(*decoders, form=GREY, frame=FRAME):
    named = tuple((each.__name__, pickle.dumps(each)) for each in decoders)
    job = Job(form, encoder=pickle.dumps(Copy), proof=Proof(named))
    return convert(job, frame, Codecs())


def test_a_frame_that_comes_back_is_answered():
    assert run(Copy) == (FRAME, GREY)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (ChangesOneBit, "it is not lossless: decoded again by ChangesOneBit, 1 of 20 samples"),
        (Shortens, "it has 19 bytes instead of 20"),
        (Inverts, "MONOCHROME1.*, not .*MONOCHROME2"),
        (Refuses, "cannot be decoded again: Refuses: it is of a kind"),
    ],
)
def test_any_difference_is_found(decoder, message):
    with pytest.raises(VerificationError, match=message):
        run(decoder)


def test_one_that_refuses_proves_nothing_and_the_next_is_asked():
    assert run(Refuses, Copy) == (FRAME, GREY)
    with pytest.raises(VerificationError, match="by ChangesOneBit"):
        run(Refuses, ChangesOneBit)
    with pytest.raises(VerificationError, match="by ChangesOneBit"):
        run(ChangesOneBit, Copy)
    with pytest.raises(VerificationError, match="cannot be decoded again: Refuses"):
        run(Refuses, Refuses)


def test_samples_are_counted_whatever_their_size():
    form = evolve(GREY, bits_allocated=16, bits_stored=12)
    with pytest.raises(VerificationError, match="1 of 20 samples differ"):
        run(ChangesOneBit, form=form, frame=FRAME * 2)


@given(st.data())
def test_every_bit_that_is_allocated_counts_and_no_other(data):
    """Bits that fill the last byte of a frame of single bits are no sample (PS3.5 §8.1.1)."""
    bits = data.draw(st.sampled_from([1, 8, 16, 32]))
    rows, columns = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 9))
    form = FrameFormat(rows, columns, 1, bits, bits, False, "MONOCHROME2")
    frame = data.draw(st.binary(min_size=form.size, max_size=form.size))
    bit = data.draw(st.integers(0, 8 * form.size - 1))
    changed = bytearray(frame)
    changed[bit // 8] ^= 1 << bit % 8

    is_sample = bit < rows * columns * bits
    try:
        verify(
            EncodedFrame(frame, form), frame, form, [("changes", lambda *_: (bytes(changed), form))]
        )
    except VerificationError:
        assert is_sample
    else:
        assert not is_sample


def recompressing(codec, reverser=None, decoder=None, verifier=None):
    proof = Proof(
        (("verifier", pickle.dumps(verifier)),) if verifier else (),
        pickle.dumps(reverser) if reverser else b"",
    )
    job = Job(
        GREY, pickle.dumps(decoder) if decoder else b"", pickle.dumps(codec),
        recompress_to=HTJ2K, proof=proof, recompress_from=J2K,
    )  # fmt: skip
    return convert(job, FRAME, Codecs())[0]


def test_what_is_recompressed_is_recompressed_back():
    assert recompressing(Copy, reverser=Copy) == FRAME[::-1]


def test_where_it_does_not_come_back_the_pixels_are_compared():
    unstable = FRAME + b"\0\0"
    for reverser in (Unstable, Refuses):
        assert recompressing(Unstable, reverser, Copy, Lengthened) == unstable
        with pytest.raises(VerificationError, match="it has 22 bytes instead of 20"):
            recompressing(Unstable, reverser, Copy, Copy)
        with pytest.raises(VerificationError, match="not restored bit by bit"):
            recompressing(Unstable, reverser)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"ab", b"ab", True),
        (b"abc\0", b"abc", True),
        (b"abc", b"abd", False),
        (b"a", b"a\0\0", False),
    ],
)
def test_codestreams_differ_in_padding_only(one, other, same):
    assert is_same_codestream(one, other) is is_same_codestream(other, one) is same


def codec(name, library, decodes=(J2K,), encodes=(), recompresses=()):
    return CodecDescriptor(
        name, frozenset(decodes), frozenset(encodes), Copy, library,
        recompresses=frozenset(recompresses),
    )  # fmt: skip


def test_a_decoder_on_another_library_is_asked_first():
    own, kin = codec("own", "A", encodes=[J2K]), codec("kin", "A")
    other, third = codec("other", "B"), codec("third", "C")
    names = lambda *all_: [each.name for each in codec_table(all_).verifiers(J2K)]  # noqa: E731
    assert names(own, kin, other, third) == ["other", "own"]
    assert names(other, own, third) == ["other"]
    assert names(kin, own) == ["kin"]
    assert names(codec("writer", "A", (), [J2K]), other) == ["other"]
    assert names(codec("writer", "A", (), [J2K])) == []


def test_lossless_conversions_are_verified_if_that_is_asked_for():
    lossy = codec("lossy", "A", (J2K_LOSSY,), [J2K_LOSSY])
    table = codec_table([codec("own", "A", encodes=[J2K]), lossy])
    for planner, verified in ((Planner(table, verify=True), True), (Planner(table), False)):
        assert planner.plan(EXPLICIT, {J2K}).verify is verified
        assert planner.conversion(EXPLICIT, J2K, verify=verified).verify is verified
        assert planner.conversion(EXPLICIT, J2K_LOSSY, verify=verified).verify is False
    assert pickle_codecs(Planner(table).plan(EXPLICIT, {J2K}), table).proof is None
    plan = Planner(table, verify=True).plan(EXPLICIT, {J2K})
    assert pickle_codecs(plan, table).proof == Proof((("own", pickle.dumps(Copy)),))


def test_what_nothing_decodes_is_not_verified_in_silence():
    table = codec_table([codec("writer", "A", (), [J2K])])
    plan = Plan(Action.TRANSCODE, EXPLICIT, J2K, encoder="writer", verify=True)
    with pytest.raises(TranscodingError, match="no installed codec decodes JPEG 2000 Lossless, so"):
        pickle_codecs(plan, table)


def test_a_recompression_is_proven_by_its_reverse_and_by_decoders():
    pairs = ((J2K_LOSSY, HTJ2K), (HTJ2K, J2K_LOSSY))
    both = codec("both", "A", (J2K_LOSSY, HTJ2K), recompresses=pairs)
    table = codec_table([both])
    plan = Planner(table, verify=True).plan(J2K_LOSSY, {HTJ2K})
    assert plan.recompress
    assert plan.verify
    coders = pickle_codecs(plan, table)
    pickled = pickle.dumps(Copy)
    assert coders.decoder == pickled
    assert coders.proof == Proof((("both", pickled),), pickled)


async def deflated(chunks):
    async def each():
        for chunk in chunks:
            yield chunk

    return b"".join([piece async for piece in deflation.verified_deflation(each())])


async def test_what_is_deflated_is_inflated_again():
    chunks = [b"abc" * 1000, memoryview(b"d" * 70_000), b"e"]
    whole = await deflated(chunks)
    assert len(whole) % 2 == 0
    assert inflate(whole, 1 << 20) == b"".join(chunks)


@pytest.mark.parametrize("fault", ["other", "broken", "cut"])
async def test_a_deflation_that_is_wrong_is_found(monkeypatch, fault):
    class Wrong:
        def __init__(self):
            self.stream = zlib.compressobj(wbits=-15)

        def feed(self, data):
            data = bytes(data).replace(b"x", b"y")
            return b"\xff" * 9 if fault == "broken" else self.stream.compress(data)

        def finish(self):
            return b"" if fault == "cut" else self.stream.flush()

    monkeypatch.setattr(deflation, "Deflater", Wrong)
    with pytest.raises(VerificationError, match="inflate"):
        await deflated([b"text"])


async def test_a_malformed_dataset_is_not_taken_for_a_fault_of_deflation():
    async def broken():
        yield b"abc"
        raise MalformedDataset("it is cut off", 3)

    with pytest.raises(MalformedDataset):
        [piece async for piece in deflation.verified_deflation(broken())]
