"""The server of the how-to, word by word, behind a node (`contrib/pacs-pynetdicom-handlers`)."""

import re
import sys
from pathlib import Path

import pytest
from importlib_metadata import EntryPoint
from pydicom.dataset import FileMetaDataset
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

from pacs_core.dataset import decode_dataset
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "bring-your-pynetdicom-server.md"
SOURCE = ROOT / "contrib" / "pacs-pynetdicom-handlers" / "src"
POINT = EntryPoint("pynetdicom-handlers", "pacs_pynetdicom_handlers", "pacs_core.plugins")
CODE = re.compile(r"^```python\n(# server.py\n.*?)^```$", re.DOTALL | re.MULTILINE)
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(SOURCE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "received").mkdir()
    (code,) = CODE.findall(HOW_TO.read_text())
    (tmp_path / "server.py").write_text(code)
    tables = {"plugin": {"pynetdicom-handlers": {"file": "server.py"}}}
    with node_thread(tmp_path / "data", tables, plugins=[POINT]) as node:
        yield node
    for name in [each for each in sys.modules if each.startswith("pacs_pynetdicom_handlers")]:
        del sys.modules[name]
    sys.modules.pop("server", None)


def test_the_server_of_the_how_to_stores_files(server, tmp_path):
    dataset = decode_dataset(SampleStudy().make("CT").encode(), EXPLICIT)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    ae = AE("MODALITY")
    ae.add_requested_context(CTImageStorage, EXPLICIT)
    association = ae.associate("127.0.0.1", server.port, ae_title="PACS")
    assert association.is_established
    assert association.send_c_store(dataset).Status == 0x0000
    association.release()
    assert [path.name for path in (tmp_path / "received").iterdir()] == [
        f"{dataset.SOPInstanceUID}.dcm"
    ]
