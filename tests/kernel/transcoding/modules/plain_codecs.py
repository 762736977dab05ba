"""Codecs without a library: a codestream is the frame, backwards, behind a marker."""

from attrs import evolve

from pacs_core.contracts import Codec, CodecError, DecodedFrame, EncodedFrame

MARKER = b"\xff\x4f\xff\x51"


class Backwards(Codec):
    def decode(self, codestream, frame):
        if not codestream.startswith(MARKER):
            raise CodecError("no marker")
        data = codestream[len(MARKER) : len(MARKER) + frame.size][::-1]
        refuse(data)
        return DecodedFrame(data, evolve(frame, photometric_interpretation=plain(frame)))

    def encode(self, data, frame, options):
        refuse(data)
        return EncodedFrame(MARKER + data[::-1], frame)


def refuse(data):
    if data.startswith(b"\xee\xee"):
        raise CodecError("it begins with EEEE")


def plain(frame):
    name = frame.photometric_interpretation
    return "RGB" if name == "YBR_RCT" else name


class Reversible(Backwards):
    """Transforms RGB, as JPEG 2000 does, to what it calls YBR_RCT."""

    def encode(self, data, frame, options):
        encoded = super().encode(data, frame, options)
        name = frame.photometric_interpretation
        name = "YBR_RCT" if name == "RGB" else name
        return EncodedFrame(encoded.data, evolve(frame, photometric_interpretation=name))


class Lossy(Backwards):
    """Keeps a tenth."""

    def encode(self, data, frame, options):
        return EncodedFrame(MARKER + data[: len(data) // 10], frame)


class WrongOnce(Backwards):
    """Changes a sample of frames that begin with 7777."""

    def encode(self, data, frame, options):
        wrong = data.startswith(b"\x77\x77")
        return super().encode(data[:-1] + bytes([data[-1] ^ 1]) if wrong else data, frame, options)


class Fickle(Backwards):
    """Says something else of each other frame."""

    def decode(self, codestream, frame):
        decoded = super().decode(codestream, frame)
        name = "MONOCHROME1" if decoded.data[0] % 2 else "MONOCHROME2"
        form = evolve(decoded.format, photometric_interpretation=name)
        return DecodedFrame(decoded.data, form)


class Forwards(Backwards):
    """Turns a codestream around."""

    def recompress(self, codestream, frame, target):
        data = codestream.removeprefix(MARKER)
        refuse(data)
        return EncodedFrame(MARKER + data[::-1], frame)
