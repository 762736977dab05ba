"""What it costs to verify a lossless conversion: processor time of a codec worker for a frame.

``uv run python -m tests.benchmarks.verification`` prints a row for each transfer syntax: the
codecs, milliseconds to encode an image of 512 x 512, 12 of 16 bits, those to verify it, and how
many times as long both take as the first alone. It works as a worker does, in this process.
"""

from statistics import median
from time import process_time

from attrs import evolve

from pacs_core.cli.assembling import load_assembly
from pacs_core.contracts import FrameFormat
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax_uid
from pacs_core.transcoding import Job, Planner
from pacs_core.transcoding.frame_work import Codecs, convert
from pacs_core.transcoding.table import CodecTable, pickle_codecs

from .pictures import SIDE, pictures

_SYNTAXES = (
    "RLE",
    "JPEG Lossless",
    "JPEG-LS",
    "JPEG 2000 Lossless",
    "HTJ2K Lossless",
    "JPEG XL Lossless",
    "Deflated Image Frame",
)
_FORM = FrameFormat(SIDE, SIDE, 1, 16, 12, False, "MONOCHROME2")
_ROUNDS = 5


def _row(name: str, table: CodecTable, frames: list[bytes]) -> str:
    plan = Planner(table).conversion(
        EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax_uid(name), verify=True
    )
    coders, codecs = pickle_codecs(plan, table), Codecs()
    assert coders.proof is not None
    verified = Job(_FORM, encoder=coders.encoder, proof=coders.proof)
    plain = evolve(verified, proof=None)
    convert(verified, frames[0], codecs)  # imports the libraries
    seconds: dict[Job, list[float]] = {plain: [], verified: []}
    for frame in frames * _ROUNDS:
        for job, taken in seconds.items():
            began = process_time()
            convert(job, frame, codecs)
            taken.append(process_time() - began)
    encode, both = (1000 * median(taken) for taken in seconds.values())
    (first, _), *_ = coders.proof.decoders
    figures = f"{encode:.1f} | {both - encode:.1f} | {both / encode:.1f}"
    return f"| {name} | {plan.encoder} | {first} | {figures} |"


def main() -> None:
    """Print the table."""
    table = load_assembly(None).codecs()
    frames = [picture.tobytes() for picture in pictures(6, _FORM.bits_stored)]
    for name in _SYNTAXES:
        print(_row(name, table, frames), flush=True)


if __name__ == "__main__":
    main()
