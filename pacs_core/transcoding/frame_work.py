"""Frames through codecs, in the worker process.

Codecs know samples of whole bytes that begin with bit 0. What else there is, single bits and
samples further up in their containers, is settled here, before and after them.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from attrs import evolve

from pacs_core.contracts import (
    Codec,
    CodecError,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
    VerificationError,
)
from pacs_core.imaging import (
    ImageError,
    align_samples,
    announced_image,
    bits_of_bytes,
    bytes_of_bits,
)
from pacs_core.transcoding.verification import Decode, is_same_codestream, verify
from pacs_core.transcoding.workers.protocol import Job, Proof


class Codecs:
    """The codecs that have been asked for, by the pickled function that creates them."""

    def __init__(self) -> None:
        self._created: dict[bytes, Codec] = {}

    def get(self, pickled: bytes) -> Codec:
        """Return a codec, created when it is first asked for."""
        codec = self._created.get(pickled)
        if codec is None:
            create: Callable[[], Codec] = pickle.loads(pickled)  # noqa: S301 from the node
            codec = self._created[pickled] = create()
        return codec

    def proof_decoders(self, proof: Proof) -> Iterator[tuple[str, Decode]]:
        """Iterate over the decoders of a proof, each created when it is its turn."""
        return ((name, partial(_decode, self.get(pickled))) for name, pickled in proof.decoders)


def convert(job: Job, frame: bytes, codecs: Codecs) -> tuple[bytes, FrameFormat]:
    """Decode a frame, encode it again, or both; or recompress it.

    Raises
    ------
    CodecError
        As a codec says, or a codec's answer is not of the size that it says.
    VerificationError
        It was to be verified that nothing is lost, and that failed.
    """
    form = job.format
    if job.recompress_to:
        encoded = codecs.get(job.encoder).recompress(frame, form, job.recompress_to)
        if job.proof is not None:
            _verify_recompressed(job, job.proof, frame, encoded, codecs)
        return encoded.data, encoded.format
    if job.decoder:
        codestream = frame
        frame, form = _decode(codecs.get(job.decoder), codestream, form)
        if job.low_bits:
            frame = _align(frame, form, job.low_bits, codestream)
    if len(frame) != form.size:
        raise CodecError(f"a native frame of {len(frame)} bytes, {form.size} expected")
    if job.encoder:
        encoded = _encode(codecs.get(job.encoder), frame, form, job.options)
        if job.proof is not None:
            verify(encoded, frame, form, codecs.proof_decoders(job.proof))
        return encoded.data, encoded.format
    return frame, form


def _decode(codec: Codec, codestream: bytes, form: FrameFormat) -> tuple[bytes, FrameFormat]:
    # Eight pixels of one bit share a byte in native frames (PS3.5 §8.1.1), and each is a sample of
    # its own in codestreams.
    by_byte = form.bits_allocated == 1 and not codec.takes_packed_bits
    if by_byte and (announced := announced_image(codestream)) and announced.precision > 1:
        raise CodecError(f"samples of {announced.precision} bits do not fit in 1 allocated")
    given = evolve(form, bits_allocated=8) if by_byte else form
    decoded = codec.decode(codestream, given)
    data, form = decoded.data, decoded.format
    name = form.photometric_interpretation
    if name == "YBR_FULL_422":  # each pixel has three samples now, and perhaps always had
        form = evolve(form, photometric_interpretation="YBR_FULL")
    elif name.startswith("YBR_PARTIAL"):
        raise CodecError(f"the retired {name} is not converted")
    if by_byte:
        return bits_of_bytes(data), evolve(form, bits_allocated=1, bits_stored=1)
    return data, form


def _encode(codec: Codec, frame: bytes, form: FrameFormat, options: EncodeOptions) -> EncodedFrame:
    by_byte = form.bits_allocated == 1 and not codec.takes_packed_bits
    if by_byte:
        frame = bytes_of_bits(frame, form.rows * form.columns)
        form = evolve(form, bits_allocated=8)
    encoded = codec.encode(frame, form, options)
    if not by_byte:
        return encoded
    return evolve(encoded, format=evolve(encoded.format, bits_allocated=1))


def _verify_recompressed(
    job: Job, proof: Proof, codestream: bytes, encoded: EncodedFrame, codecs: Codecs
) -> None:
    """Recompress it the other way; if that is not the same, compare the pixels.

    Of what can be restored from several codestreams, such as a JPEG, one way leads to another
    codestream than the one that was stored, and the pixels are the same nevertheless.
    """
    if proof.reverser:
        reverser = codecs.get(proof.reverser)
        with suppress(CodecError):
            restored = reverser.recompress(encoded.data, encoded.format, job.recompress_from)
            if is_same_codestream(restored.data, codestream):
                return
    if not job.decoder:
        raise VerificationError("it is not restored bit by bit, and no codec decodes the original")
    data, form = _decode(codecs.get(job.decoder), codestream, job.format)
    verify(encoded, data, form, codecs.proof_decoders(proof))


def _align(frame: bytes, form: FrameFormat, low_bits: int, codestream: bytes) -> bytes:
    """Move samples to bit 0, unless they are there: the codestream has only the bits stored."""
    announced = announced_image(codestream)
    if announced is not None and announced.precision < form.bits_stored + low_bits:
        return frame
    try:
        return align_samples(frame, form, low_bits)
    except ImageError as error:
        raise CodecError(str(error)) from error
