"""`pacs get`: every instance as it is stored, into a folder that others may have prepared."""

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from pacs_core.cli.sop_classes import COMMON, fit_one_association, storage_proposals
from pacs_core.dataset import read_file_meta

STUDY = "1.2.826.0.1.3680043.9.4.1"
SYNTAXES = {"rle": "1.2.840.10008.1.2.5", "jpeg-ls": "1.2.840.10008.1.2.4.80"}
IMAGES = [uid for uid in COMMON if not fit_one_association([uid] * 4)]


@pytest.fixture(scope="module")
def sources(samples: Path, tmp_path_factory, spawn_once) -> Callable[..., Path]:
    """Make an instance of any SOP class, compressed."""
    folder = tmp_path_factory.mktemp("sources")
    for name in SYNTAXES:
        spawn_once("convert", str(samples / "MR_small.dcm"), str(folder / name), "-t", name)

    def make(folder_: Path, name: str, sop_class: str, study: str, series: str, uid: str) -> Path:
        dataset = pydicom.dcmread(folder / name)
        assert dataset.file_meta.TransferSyntaxUID == SYNTAXES[name]
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.PatientID = "MANY"
        path = folder_ / f"{uid}.dcm"
        dataset.save_as(path)
        return path

    return make


@pytest.fixture(scope="module")
def many(node, sources, tmp_path_factory, spawn_once) -> dict[str, Path]:
    """Store a study of 20 SOP classes in two transfer syntaxes, and one of two classes.

    The last series of the large one has all classes.
    """
    folder = tmp_path_factory.mktemp("many")
    made = {}
    for number, sop_class in enumerate(IMAGES[:20]):
        for kind, name in enumerate(SYNTAXES):
            for series in (f"{STUDY}.{number}", f"{STUDY}.99"):
                uid = f"{series}.{number}.{kind}"
                made[uid] = sources(folder, name, sop_class, STUDY, series, uid)
    for number, sop_class in enumerate(IMAGES[:2]):
        uid = f"{STUDY}9.1.{number}"
        made[uid] = sources(folder, "rle", sop_class, f"{STUDY}9", f"{STUDY}9.1", uid)
    result = spawn_once("store", node.peer, str(folder))
    assert result.returncode == 0, result.stderr
    return made


def received(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.rglob("*.dcm")}


@pytest.mark.parametrize("key", [f"StudyInstanceUID={STUDY}", "PatientID=MANY"])
def test_more_than_fits_one_association_comes_as_it_is_stored(
    pacs, node, many, dataset_of, tmp_path: Path, key: str
) -> None:
    """PS3.8 §7.1.1.13: 128 contexts; the peer need not convert what it has no context for."""
    expected = {uid: path for uid, path in many.items() if "Pat" in key or f"{STUDY}9" not in uid}
    result = pacs("get", node.peer, "-k", key, "-o", tmp_path / "out")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{len(expected)} received, 0 failed\n"
    found = received(tmp_path / "out")
    assert set(found) == set(expected)
    for uid, path in found.items():
        syntax = read_file_meta(path.read_bytes()).transfer_syntax_uid
        assert syntax == read_file_meta(expected[uid].read_bytes()).transfer_syntax_uid
        assert dataset_of(path) == dataset_of(expected[uid])


@pytest.mark.parametrize("level", ["series", "image"])
def test_lists_at_the_lower_levels(pacs, node, many, tmp_path: Path, level: str) -> None:
    wanted = sorted(uid for uid in many if uid.startswith(f"{STUDY}.99."))
    keys = ["-k", f"StudyInstanceUID={STUDY}", "-k", f"SeriesInstanceUID={STUDY}.99"]
    if level == "image":
        keys += ["-k", "SOPInstanceUID=" + "\\".join(wanted)]
    result = pacs("get", node.peer, *keys, "-o", tmp_path / "out")
    assert (result.code, result.out) == (0, f"{len(wanted)} received, 0 failed\n")
    assert sorted(received(tmp_path / "out")) == wanted


def test_proposals_of_three_image_classes_and_documents_are_complete() -> None:
    proposals = list(
        storage_proposals([*IMAGES[:3], *(uid for uid in COMMON if ".88." in uid)][:5])
    )
    assert len(proposals) <= 127
    for sop_class in IMAGES[:3]:
        syntaxes = [p.transfer_syntaxes for p in proposals if p.abstract_syntax == sop_class]
        assert all(len(each) == 1 for each in syntaxes)


def test_links_in_the_output_folder_are_not_followed(pacs, node, many, tmp_path: Path) -> None:
    """Somebody else may have made them, where a folder is shared."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = tmp_path / "out"
    (out / f"{STUDY}9").mkdir(parents=True)
    (out / f"{STUDY}9" / f"{STUDY}9.1").symlink_to(elsewhere)
    keys = ["-k", f"StudyInstanceUID={STUDY}9"]
    result = pacs("get", node.peer, *keys, "-o", out)
    assert (result.code, result.out) == (1, "0 received, 2 failed\n")
    assert f"{STUDY}9.1 in the output folder is a link, which is not followed" in result.err
    assert not list(elsewhere.iterdir())
    assert not list(out.glob(".incoming*"))
    # The folder itself may be one: it is the user's own choice.
    (tmp_path / "chosen").symlink_to(elsewhere)
    assert pacs("get", node.peer, *keys, "-o", tmp_path / "chosen").code == 0
    assert set(received(elsewhere)) == {f"{STUDY}9.1.0", f"{STUDY}9.1.1"}


def test_a_link_with_the_name_of_an_instance_is_replaced(pacs, node, many, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    series = tmp_path / "out" / f"{STUDY}9" / f"{STUDY}9.1"
    series.mkdir(parents=True)
    (series / f"{STUDY}9.1.0.dcm").symlink_to(victim)
    result = pacs("get", node.peer, "-k", f"StudyInstanceUID={STUDY}9", "-o", tmp_path / "out")
    assert result.code == 0
    assert victim.read_text() == "mine"
    assert not (series / f"{STUDY}9.1.0.dcm").is_symlink()
