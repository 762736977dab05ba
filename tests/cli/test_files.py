"""Files in folders: what is skipped is named, and nothing beside good files stops a command."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(samples: Path, tmp_path: Path) -> Path:
    """A folder of one instance, and of links and files that are none."""
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(samples / "CT_small.dcm", folder / "ct.dcm")
    shutil.copy(samples / "dicomdirtests" / "DICOMDIR", folder)
    (folder / "notes.txt").write_text("no instance")
    (folder / "loop").symlink_to("loop")
    (folder / "gone").symlink_to("nowhere.dcm")
    (folder / "elsewhere").symlink_to(tmp_path)
    return folder


@pytest.fixture
def commands(folder: Path, tmp_path: Path, node) -> dict[str, list[object]]:
    return {
        "store": ["store", node.peer, folder],
        "import": ["import", "--data", tmp_path / "data", folder],
        "convert": ["convert", folder, tmp_path / "out", "-t", "implicit"],
        "explain": ["explain", node.peer, folder],
    }


NAMES = ("store", "import", "convert", "explain")


@pytest.mark.parametrize("name", NAMES)
def test_links_that_lead_nowhere_stop_nothing(pacs, commands, folder: Path, name: str) -> None:
    result = pacs(*commands[name])
    assert result.code == 0, result.err
    assert ("ct.dcm" if name == "explain" else "1 instance") in result.out
    lines = sorted(result.err.splitlines())
    assert lines == [
        f"pacs: {folder / 'gone'}: skipped: a link that leads nowhere: No such file or directory",
        f"pacs: {folder / 'loop'}: skipped: a link that leads nowhere: "
        "Too many levels of symbolic links",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_skipped_can_be_named(pacs, commands, folder: Path, name: str) -> None:
    result = pacs(*commands[name], "--verbose")
    assert result.code == 0
    skipped = {line.split(": ")[1]: line for line in result.err.splitlines()}
    assert set(skipped) == {
        str(folder / each) for each in ("DICOMDIR", "notes.txt", "loop", "gone", "elsewhere")
    }
    assert skipped[str(folder / "DICOMDIR")].endswith("skipped: a DICOMDIR")
    assert "skipped: not a DICOM file" in skipped[str(folder / "notes.txt")]
    assert "a link to a folder, which is not followed" in skipped[str(folder / "elsewhere")]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_use_is_said(pacs, commands, folder: Path, name: str) -> None:
    (folder / "ct.dcm").unlink()
    (folder / "loop").unlink()
    (folder / "gone").unlink()
    result = pacs(*commands[name])
    assert result.code == 3
    assert result.err == (
        "pacs: there is nothing to do: no DICOM file was found; --verbose names what was skipped\n"
    )
    for path in folder.iterdir():
        path.unlink()
    result = pacs(*commands[name])
    assert (result.code, result.err) == (
        3,
        "pacs: there is nothing to do: no DICOM file was found\n",
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_loop_that_was_named_is_a_failure(pacs, commands, folder: Path, name: str) -> None:
    arguments = [folder / "loop" if each == folder else each for each in commands[name]]
    result = pacs(*arguments)
    assert result.code == 1
    assert f"pacs: {folder / 'loop'}: Too many levels of symbolic links" in result.err
