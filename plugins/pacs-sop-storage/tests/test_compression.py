"""Compression on ingest, and the order in which transfer syntaxes are chosen, on a whole node."""

import json
from io import BytesIO

import pytest
from attrs import evolve
from importlib_metadata import EntryPoint, entry_points
from pacs_sop_storage import StorageConfig
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Level, Query
from pacs_core.dataset import read_file_meta, transfer_syntax_uid
from pacs_core.plugins import ENTRY_POINT_GROUP, PluginManager
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.anyio

EXPLICIT, IMPLICIT, RLE, JLS, J2K = map(
    transfer_syntax_uid, ("explicit", "implicit", "RLE", "JPEG-LS", "JPEG 2000 Lossless")
)


def sample(name):
    with open(get_testdata_file(name), "rb") as file:
        data = file.read()
    # Some of these files name another instance in their file meta information.
    uid = dcmread(BytesIO(data), stop_before_pixels=True).SOPInstanceUID
    meta = evolve(read_file_meta(data), sop_instance_uid=str(uid))
    return meta, data[meta.dataset_offset :]


async def store(node, meta, dataset):
    proposals = [Proposal(meta.sop_class_uid, (meta.transfer_syntax_uid,))]
    async with connect(node.peer, proposals) as association:
        response = await association.c_store(meta.sop_class_uid, meta.sop_instance_uid, dataset)
    return response.status


def stored(node):
    async def read():
        archive = node.node.opened.archive
        (instance,) = [each async for each in archive.instances(Query(Level.IMAGE))]
        async with await archive.open(instance) as reader:
            data = await reader.read(0, reader.size)
        return instance.transfer_syntax_uid, data[instance.dataset_offset :], data

    return node.call(read)


def compressing(name="JPEG-LS Lossless", **table):
    return {"plugin": {"sop-storage": {"compress": name, **table}}}


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"]
)
@pytest.mark.parametrize("target", ["JPEG-LS Lossless", "RLE"])
async def test_images_are_stored_compressed_and_hold_the_same(tmp_path, name, target):
    with node_thread(tmp_path, compressing(target)) as node:
        assert await store(node, *sample(name)) == 0
        syntax, _, data = stored(node)
    assert syntax == transfer_syntax_uid(target)
    sent, kept = dcmread(get_testdata_file(name)), dcmread(BytesIO(data))
    assert (sent.pixel_array == kept.pixel_array).all()
    assert kept.SOPInstanceUID == sent.SOPInstanceUID
    assert len(data) < len(sample(name)[1])


@pytest.mark.parametrize("name", ["rtplan.dcm", "MR_small_RLE.dcm", "rtdose.dcm"])
async def test_what_is_no_image_or_cannot_be_compressed_is_stored_as_it_came(tmp_path, name):
    meta, dataset = sample(name)
    with node_thread(tmp_path, compressing()) as node:
        assert await store(node, meta, dataset) == 0
        assert stored(node)[:2] == (meta.transfer_syntax_uid, dataset)


WRONG = """
from pacs_codec_basic.jpegls import CharLsCodec
from pacs_core.contracts import CodecDescriptor
from pacs_core.plugins import hookimpl

class Wrong(CharLsCodec):
    def __init__(self):
        super().__init__(lossy=False)

    def encode(self, data, frame, options):
        return super().encode(data[:-2] + bytes([data[-2] ^ 1, data[-1]]), frame, options)

@hookimpl
def pacs_codecs():
    return [CodecDescriptor("wrong", frozenset(), frozenset({"1.2.840.10008.1.2.4.80"}), Wrong)]
"""


async def test_what_does_not_come_back_is_stored_as_it_came(tmp_path, monkeypatch, caplog):
    """The only copy is not replaced by what was not proven to be the same."""
    (tmp_path / "wrong_codec.py").write_text(WRONG)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("wrong", "wrong_codec", ENTRY_POINT_GROUP)
    manager = PluginManager(found=[*entry_points(group=ENTRY_POINT_GROUP), point])
    tables = {**compressing(), "transcoding": {"codecs": {"JPEG-LS Lossless": "wrong"}}}
    meta, dataset = sample("CT_small.dcm")
    with node_thread(tmp_path / "node", tables, manager) as node:
        assert await store(node, meta, dataset) == 0
        assert stored(node)[:2] == (meta.transfer_syntax_uid, dataset)
    what = "1 of 16384 samples differ"
    assert f"{meta.sop_instance_uid} is stored as it came" in caplog.text
    assert what in caplog.text
    trail = (tmp_path / "node" / "audit" / "audit.jsonl").read_text().splitlines()
    events = [each for each in map(json.loads, trail) if each["event"] == "compression-rejected"]
    ((outcome, details),) = [(each["outcome"], each["details"]) for each in events]
    assert outcome == "warning"
    assert details["sop_instance_uid"] == meta.sop_instance_uid
    assert what in details["reason"]


async def test_a_malformed_image_is_refused_as_ever(tmp_path):
    meta, dataset = sample("CT_small.dcm")
    with node_thread(tmp_path, compressing()) as node:
        assert await store(node, meta, dataset[:-10]) == 0xC000
        assert await store(node, meta, dataset) == 0


@pytest.mark.parametrize("value", ["JPEG 2000", "Explicit VR Little Endian", "deflated", "no such"])
def test_only_lossless_compression_is_possible(value):
    with pytest.raises(ValueError, match=r"loss|is no transfer syntax"):
        StorageConfig(compress=value)


@pytest.mark.parametrize(
    ("tables", "chosen"),
    [
        ({}, EXPLICIT),
        ({"network": {"receives": ["JPEG-LS", "RLE"]}}, JLS),
        ({"network": {"receives": ["JPEG XL", "implicit"]}}, IMPLICIT),
        (
            {
                "network": {"receives": ["JPEG-LS"]},
                "plugin": {"sop-storage": {"receives": {"ct": ["RLE"], "mr": ["implicit"]}}},
            },
            RLE,
        ),
        (
            {
                "plugin": {"sop-storage": {"receives": {"ct": ["RLE"]}}},
                "peers": {"us": {"ae_title": "US", "host": "h", "receives": ["J2K Lossless"]}},
            },
            J2K,
        ),
    ],
    ids=["the proposer's", "the node's", "the node's next", "the group's", "the peer's"],
)
async def test_the_order_of_preference_is_configurable(tmp_path, tables, chosen):
    """PS3.8 §9.3.3.2: the acceptor chooses one of those that were proposed."""
    ct = "1.2.840.10008.5.1.4.1.1.2"
    proposal = Proposal(ct, (EXPLICIT, IMPLICIT, RLE, JLS, J2K))
    with node_thread(tmp_path, tables) as node:
        async with connect(node.peer, [proposal], calling_ae_title="US") as association:
            (context,) = association.contexts.values()
    assert context.transfer_syntax == chosen
