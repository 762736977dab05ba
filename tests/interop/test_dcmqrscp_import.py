"""The folder of DCMTK's dcmqrscp, taken over."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from pacs_core.cli.main import main
from pacs_core.dataset import read_file_meta

pytestmark = pytest.mark.peer

SAMPLES = Path(find_spec("pydicom").origin).parent / "data" / "test_files" / "dicomdirtests"


def test_what_dcmqrscp_has_is_taken_over_byte_for_byte(dcmtk, tmp_path, capsys):
    """``index.dat`` is passed over; a name says nothing, so it may be any."""
    folder = tmp_path / "COMMON"
    folder.mkdir()
    files = sorted(path for path in SAMPLES.rglob("*") if path.is_file() and "7765" in str(path))
    for number, path in enumerate(files):
        (folder / f"MR_{number}").write_bytes(path.read_bytes())
    dcmtk.run("dcmqridx", folder, *sorted(folder.iterdir()))
    assert (folder / "index.dat").stat().st_size > 0
    (folder / "MR_damaged").write_bytes(files[0].read_bytes()[:700])
    take = ["import", str(folder), "--data", str(tmp_path / "data")]
    assert main(take) == 1
    told = capsys.readouterr()
    assert told.out == f"{len(files)} instances stored, 1 failed, 1 skipped\n"
    assert "MR_damaged: " in told.err
    kept = {dataset(path) for path in (tmp_path / "data").rglob("*.dcm")}
    assert kept == {dataset(path) for path in files}
    (folder / "MR_damaged").unlink()
    assert main(take) == 0
    assert capsys.readouterr().out.startswith("0 instances stored, ")


def dataset(path):
    data = path.read_bytes()
    return data[read_file_meta(data).dataset_offset :]
