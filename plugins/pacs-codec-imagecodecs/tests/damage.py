"""Decodes damaged codestreams of one transfer syntax: run by a test, in a process of its own.

Prints how many were refused and how many gave a frame. Libraries that crash or hang take only
this process with them.
"""

import random
import sys

from pacs_codec_imagecodecs import pacs_codecs

from pacs_core.contracts import Codec, CodecError, EncodeOptions, NodeSettings, Setup
from pacs_core.testing.codec_contract import FORMATS, pictures

CONTENTS = ("noise", "ramp")


def main(syntax: str, seed: int, count: int) -> None:
    noise = random.Random(seed)
    (codec,) = (
        each.create()
        for each in pacs_codecs(Setup(NodeSettings()))
        if any(uid.endswith(f".4.{syntax}") for uid in each.encodes)
    )
    good = list(encoded(codec))
    outcomes = {"refused": 0, "decoded": 0}
    for _ in range(count):
        each = noise.choice(good)
        damaged = noise.choice(DAMAGES)(noise, bytearray(each.data))
        outcomes[outcome(codec, bytes(damaged), each.format)] += 1
    print(outcomes["refused"], outcomes["decoded"])


def encoded(codec):
    for frame in FORMATS.values():
        for content in CONTENTS:
            try:
                yield codec.encode(pictures(frame)[content].data, frame, EncodeOptions())
            except CodecError:  # a lossy syntax that does not take this format
                continue


def outcome(codec: Codec, damaged: bytes, frame) -> str:
    try:
        decoded = codec.decode(damaged, frame)
    except CodecError:
        return "refused"
    assert len(decoded.data) == decoded.format.size
    return "decoded"


def flip(noise: random.Random, data: bytearray, within: int | None = None) -> bytearray:
    for _ in range(noise.randint(1, 8)):
        data[noise.randrange(min(within or len(data), len(data)))] ^= 1 << noise.randrange(8)
    return data


def flip_early(noise: random.Random, data: bytearray) -> bytearray:
    return flip(noise, data, 200)


def overwrite_early(noise: random.Random, data: bytearray) -> bytearray:
    for _ in range(noise.randint(1, 3)):
        at = noise.randrange(min(noise.choice([20, 60, 150]), len(data)))
        data[at] = noise.choice([0, 1, 127, 128, 255])
    return data


def overwrite(noise: random.Random, data: bytearray) -> bytearray:
    start = noise.randrange(len(data))
    end = max(start, min(len(data) - 2, start + noise.randrange(64)))
    data[start:end] = noise.randbytes(end - start)
    return data


def cut_out(noise: random.Random, data: bytearray) -> bytearray:
    start = noise.randrange(len(data))
    del data[start : start + noise.randrange(32)]
    return data


DAMAGES = (flip, flip_early, overwrite_early, overwrite, cut_out)

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
