"""The plugin as a node sees it."""

import subprocess
import sys
from importlib.metadata import version

from pacs_codec_imagecodecs import pacs_codecs

from pacs_core.contracts import NodeSettings, Setup
from pacs_core.testing.node import chosen_plugins

ROOT = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
SYNTAXES = {50, 51, 53, 55, 57, 70, 80, 81, 90, 91, 110, 111, 112, 201, 202, 203}
DECODED_ONLY = {53, 55, 111}
START = """
import sys
from pacs_codec_imagecodecs import pacs_codecs
from pacs_core.contracts import NodeSettings, Setup
pacs_codecs(Setup(NodeSettings()))
print({"numpy", "imagecodecs"} & set(sys.modules))
"""


def test_each_transfer_syntax_has_one_codec() -> None:
    descriptors = pacs_codecs(Setup(NodeSettings()))
    decoded = [uid for each in descriptors for uid in each.decodes]
    assert sorted(decoded) == sorted(f"{ROOT}{suffix}" for suffix in SYNTAXES)
    encoded = [uid for each in descriptors for uid in each.encodes]
    assert sorted(encoded) == sorted(
        {*decoded, RLE} - {f"{ROOT}{suffix}" for suffix in DECODED_ONLY}
    )
    assert len({each.name for each in descriptors}) == len(SYNTAXES) + 1
    for each in descriptors:
        assert each.version == version("imagecodecs")
        assert each.licence
        assert each.library


def test_a_node_knows_it_without_importing_numpy() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_entry_point_is_found() -> None:
    (record,) = chosen_plugins(["codec-imagecodecs"]).loaded
    assert record.hooks == ("pacs_codecs",)
