"""Headers that are long are looked through in threads, and nobody can tell by what is read."""

import gc
import threading
import zlib

import pytest
from hypothesis import given, settings, strategies as st

from pacs_core.archive import instance_reading
from pacs_core.archive.instance_reading import InflatedRanges, StoredRanges, drive_steadily
from pacs_core.concurrency import without_collection
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, ElementReader, ReadLimits, read_elements
from pacs_core.testing.datasets import SampleStudy

pytestmark = pytest.mark.anyio
LIMITS = ReadLimits(bulk=100, value=2000)


class Reader:
    """Reads an object that is in memory."""

    def __init__(self, content):
        self.content, self.size = content, len(content)

    async def read(self, offset, length):
        return self.content[offset : offset + length]


def report(texts):
    items = [{"ValueType": "TEXT", "TextValue": each} for each in texts]
    return SampleStudy().make("SR", ContentSequence=items).encode(EXPLICIT_VR_LITTLE_ENDIAN)


async def read(ranges, size):
    reader = ElementReader(EXPLICIT_VR_LITTLE_ENDIAN, size, limits=LIMITS)
    await drive_steadily(reader.run(), ranges)
    return reader.elements


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(instance_reading, "_IN_LOOP", 1)
    monkeypatch.setattr(instance_reading, "_AHEAD", 20_000)


@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.sampled_from([0, 10, 500, 1990, 5_000, 40_000]), max_size=40),
    is_deflated=st.booleans(),
)
@pytest.mark.usefixtures("small_steps")
async def test_what_is_read_is_the_same(lengths, is_deflated):
    dataset = report("x" * each for each in lengths)
    expected = read_elements(dataset, EXPLICIT_VR_LITTLE_ENDIAN, LIMITS)
    if is_deflated:
        deflate = zlib.compressobj(wbits=-15)
        content = deflate.compress(dataset) + deflate.flush()
        found = await read(InflatedRanges(Reader(content), 0), None)
    else:
        found = await read(StoredRanges(Reader(dataset), 0, len(dataset)), len(dataset))
    assert found == expected


async def test_a_long_one_goes_on_in_threads():
    threads = []

    def asking():
        for position in range(0, 1 << 20, 1 << 14):
            assert len((yield position, 1 << 14)) == 1 << 14
            threads.append(threading.get_ident())
        assert (yield 1 << 20, 10) == b"end"

    ranges = StoredRanges(Reader(bytes(1 << 20) + b"end"), 0, None)
    await drive_steadily(asking(), ranges)
    here = threading.get_ident()
    assert len(threads) == 64
    assert threads[:8] == [here] * 8
    assert here not in threads[8:]


def test_collection_is_put_off_while_one_is_large():
    assert gc.isenabled()
    with without_collection(1000):
        assert gc.isenabled()
    with without_collection(1 << 24):
        with pytest.raises(KeyError), without_collection(1 << 24):
            raise KeyError
        assert not gc.isenabled()
    assert gc.isenabled()
