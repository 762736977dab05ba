"""The Basic Profile beside that of GDCM, on the same files."""

import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from shutil import which

import pytest
import trustme
from pacs_deidentify.files import deidentify_file
from pacs_deidentify.leaks import find_leaks
from pydicom import dcmread
from pydicom.dataset import Dataset

from .samples import make_instance, make_report
from .test_files import PROFILE, save

GDCMANON = which("gdcmanon")
REMOVED_AS_A_WHOLE = "(0040,a730)"
"""Content Sequence: we put in an item without content, as Type 1C asks for."""


def flatten(dataset: Dataset, path: str = "") -> Iterator[tuple[str, object]]:
    for element in dataset:
        if element.VR != "SQ":
            yield f"{path}{str(element.tag).lower()}", element.value
        for number, item in enumerate(element.value if element.VR == "SQ" else ()):
            yield from flatten(item, f"{path}{str(element.tag).lower()}[{number}].")


@pytest.mark.skipif(GDCMANON is None, reason="needs gdcmanon")
@pytest.mark.parametrize("make", [make_instance, make_report])
def test_what_gdcmanon_takes_out_is_taken_out_here(tmp_path: Path, make) -> None:
    key = trustme.CA().issue_cert("deidentifier.example")
    key.private_key_pem.write_to_path(tmp_path / "key")
    key.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    source = save(tmp_path / "in.dcm", make())
    theirs = tmp_path / "gdcm.dcm"
    command = [GDCMANON, "-e", "-k", "key", "-c", "cert", "-i", "in.dcm", "-o", "gdcm.dcm"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    ours = BytesIO()
    report = deidentify_file(source, PROFILE, lambda made: ours)
    given, gdcm, made = (
        dict(flatten(dcmread(file))) for file in (source, theirs, BytesIO(ours.getvalue()))
    )
    left = [
        path for path, value in given.items() if gdcm.get(path) != value and made.get(path) == value
    ]
    assert [path for path in left if not path.startswith(REMOVED_AS_A_WHOLE)] == []
    # The proof finds what another tool leaves: it is of the profile of 2008.
    leaks = find_leaks(theirs, report.evidence).leaks
    assert {"(0010,1040)", "(0020,1040)", "(0008,002A)", "(0029,1001)"} <= set(leaks)
    assert find_leaks(BytesIO(ours.getvalue()), report.evidence).leaks == ()
