"""What the plugin tells a node, and what it does not import for that."""

import subprocess
import sys

from pacs_codec_basic import pacs_codecs

from pacs_core.dimse import is_valid_uid
from pacs_core.testing.node import chosen_plugins

CODECS = {descriptor.name: descriptor for descriptor in pacs_codecs()}


def test_each_transfer_syntax_has_one_codec():
    for attribute in ("decodes", "encodes"):
        uids = [uid for each in CODECS.values() for uid in getattr(each, attribute)]
        assert len(uids) == len(set(uids)) > 6
        assert all(map(is_valid_uid, uids))


def test_what_does_the_work_is_named_with_version_and_licence():
    for descriptor in CODECS.values():
        assert descriptor.library
        assert descriptor.version
        assert descriptor.licence
        assert 1 <= descriptor.bits[0] <= descriptor.bits[1] <= 32


def test_high_throughput_jpeg_2000_is_only_decoded():
    assert len(CODECS["basic-htj2k"].decodes) == 3
    assert not CODECS["basic-htj2k"].encodes


def test_a_node_that_starts_imports_no_library():
    script = (
        "import sys, pacs_codec_basic as plugin; plugin.pacs_codecs();"
        "print(sorted(sys.modules.keys() & {'numpy', 'rle', 'openjpeg', '_CharLS', '_libjpeg'}))"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, check=True).stdout.strip() == b"[]"


def test_jpeg_is_there_only_with_its_library(monkeypatch):
    monkeypatch.setattr("pacs_codec_basic.find_spec", lambda name: None)
    assert "basic-jpeg" not in {descriptor.name for descriptor in pacs_codecs()}
    monkeypatch.setattr("pacs_codec_basic.find_spec", lambda name: name)
    (jpeg,) = (each for each in pacs_codecs() if each.name == "basic-jpeg")
    assert jpeg.licence == "GPL-3.0"
    assert not jpeg.encodes


def test_a_node_loads_it(pacs_node):
    assert pacs_node({"plugins": {"strict": True}}, plugins=["codec-basic"]).port
    (record,) = chosen_plugins(["codec-basic"]).loaded
    assert record.hooks == ("pacs_codecs",)
