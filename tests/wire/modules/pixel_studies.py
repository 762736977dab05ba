"""Studies of instances with encapsulated Pixel Data, good and damaged, for a node of tests."""

import random
import struct
from itertools import accumulate

from attrs import define, evolve, field

from pacs_core.association import Proposal, connect
from pacs_core.contracts import EncodeOptions, FrameFormat, Level, Query
from pacs_core.dataset import encode_attributes, tag_of, texts
from pacs_core.testing.codec_contract import pictures

CT, STUDY_GET = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.2.2.3"
EXPLICIT = "1.2.840.10008.1.2.1"
FAILED = tag_of("FailedSOPInstanceUIDList")
ROWS, COLUMNS, FRAMES = 40, 33, 3


@define
class Pixels:
    """Encapsulated Pixel Data in the making, and what the dataset says of them."""

    frames: list[list[bytes]]
    basic: list[int] = field(factory=list)
    extended: list[int] | None = None
    lengths: list[int] | None = None
    attributes: dict[str, int] = field(factory=dict)

    def encode(self):
        items = [item(struct.pack(f"<{len(self.basic)}I", *self.basic))]
        items += [item(even(fragment)) for frame in self.frames for fragment in frame]
        value = b"".join(items) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        tables = [
            element(tag, b"OV", struct.pack(f"<{len(numbers)}Q", *numbers))
            for tag, numbers in ((0x7FE00001, self.extended), (0x7FE00002, self.lengths))
            if numbers is not None
        ]
        return b"".join(tables) + element(0x7FE00010, b"OB", value, 0xFFFFFFFF)

    @property
    def offsets(self):
        """The right offset table."""
        sizes = [sum(len(item(even(fragment))) for fragment in frame) for frame in self.frames]
        return list(accumulate(sizes, initial=0))[:-1]


def item(value):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def element(tag, vr, value, length=None):
    size = len(value) if length is None else length
    return struct.pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr, size) + value


def even(data):
    return data + bytes(len(data) % 2)


def frame_format(syntax):
    deep = not syntax.endswith(".50")
    bits, stored = (16, 12) if deep else (8, 8)
    return FrameFormat(ROWS, COLUMNS, 1, bits, stored, False, "MONOCHROME2")


class Study:
    """Instances of one study in one transfer syntax, by their UIDs."""

    def __init__(self, node, syntax, number):
        self.syntax, self.uid = syntax, f"1.2.826.7.{number}"
        self.format = frame_format(syntax)
        shown = pictures(self.format)
        self.native = [shown[name].data for name in ("ramp", "noise", "ones")]
        codec = node.node.opened.node.transcoder.table.encoder(syntax).create()
        encoded = [codec.encode(data, self.format, EncodeOptions()) for data in self.native]
        self.said = encoded[0].format
        self.good = Pixels([[even(frame.data)] for frame in encoded])
        self.names, self.datasets = {}, {}

    def add(self, name, damage=None):
        pixels = evolve(self.good, frames=list(self.good.frames), attributes={})
        if damage:
            damage(pixels, random.Random(name))
        uid = f"{self.uid}.{len(self.names) + 1}"
        self.names[uid] = name
        self.datasets[uid] = self._header(uid, pixels.attributes) + pixels.encode()
        return uid

    def _header(self, uid, changes):
        form = self.said
        values = {
            "SOPClassUID": CT,
            "SOPInstanceUID": uid,
            "StudyInstanceUID": self.uid,
            "SeriesInstanceUID": f"{self.uid}.0",
            "PatientID": "HOSTILE",
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": form.photometric_interpretation,
            "NumberOfFrames": FRAMES,
            "Rows": form.rows,
            "Columns": form.columns,
            "BitsAllocated": form.bits_allocated,
            "BitsStored": form.bits_stored,
            "HighBit": form.bits_stored - 1,
            "PixelRepresentation": 0,
            **changes,
        }
        tagged = sorted((tag_of(name), (str(value),)) for name, value in values.items())
        return encode_attributes(dict(tagged), EXPLICIT)

    async def send(self, node):
        """Store all."""
        async with connect(node.peer, [Proposal(CT, (self.syntax,))]) as association:
            for uid, dataset in self.datasets.items():
                response = await association.c_store(CT, uid, dataset)
                assert response.status == 0x0000, (self.names[uid], response.error_comment)

    async def store(self, node):
        """Store all, and check that nothing of them was changed."""
        await self.send(node)
        kept = {}
        archive = node.node.opened.archive

        async def read():
            async for instance in archive.instances(Query(Level.IMAGE)):
                async with await archive.open(instance) as reader:
                    data = await reader.read(instance.dataset_offset, reader.size)
                kept[instance.identity.sop_instance_uid] = data

        node.call(read)
        assert {uid: kept[uid] for uid in self.datasets} == self.datasets

    async def get(self, node, syntax=EXPLICIT, most=1 << 24):
        """Retrieve all with C-GET: what came, by UID, up to so many bytes; and what failed."""
        received = {}

        async def receive(operation):
            data = received[operation.command.affected_sop_instance_uid] = bytearray()
            async for chunk in operation.dataset:
                data += chunk[: most - len(data)]
            return 0x0000

        identifier = {
            tag_of("QueryRetrieveLevel"): ("STUDY",),
            tag_of("StudyInstanceUID"): (self.uid,),
        }
        proposals = [Proposal(STUDY_GET, (EXPLICIT,))]
        proposals.append(Proposal(CT, (syntax,), scu=False, scp=True))
        async with connect(node.peer, proposals) as association:
            responses = [r async for r in association.c_get(STUDY_GET, identifier, receive)]
        final, identifier = responses[-1]
        failed = set(texts(identifier or {}, FAILED))
        assert final.number_of_failed_suboperations == len(failed)
        assert (final.number_of_completed_suboperations or 0) == len(received)
        return received, failed

    def pixels(self, dataset):
        """Return the value of native Pixel Data, which a dataset ends with."""
        size = self.format.size * FRAMES
        size += size % 2
        vr = b"OW" if self.format.bits_allocated > 8 else b"OB"
        assert dataset[-size - 12 :][:12] == element(0x7FE00010, vr, b"", size)
        return dataset[-size:]
