"""``pacs archive copy``: into another store and index, again, cut short, of what is damaged."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from pacs_store_filesystem.store import FilesystemStore
from pacs_store_tiered.store import TieredStore

from pacs_core.archive import ArchiveCopy, CopyOutcome
from pacs_core.contracts import Level, Query
from pacs_core.dataset import scan_file, texts
from pacs_core.testing.memory_store import MemoryStore
from pacs_core.testing.waiting import until

sys.path.insert(0, str(Path(__file__).parents[1] / "distributions/pacs-memory-archive/src"))

from pacs_memory_archive import MemoryIndex

OTHER_LAYOUT = "{instance_hash:2}/{series}/{instance}.dcm"
STUDY = 0x0020_000D


def configure(folder: Path, name: str, layout: str = "") -> Path:
    path = folder / f"{name}.toml"
    lines = [f'[node]\ndata_directory = "{folder / name}"', "[archive.space]\nreserve = 0"]
    if layout:
        lines.append(f'[plugin.store-filesystem]\nlayout = "{layout}"')
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return configure(tmp_path, "source")


def objects(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in (folder / "objects").rglob("*.dcm"))


def filled(pacs, source: Path, copies: Sequence[Path], tmp_path: Path) -> None:
    """Import files, one of them twice with different content, and correct the study."""
    other = tmp_path / "other.dcm"
    other.write_bytes(copies[0].read_bytes().replace(b"CompressedSamples", b"CompressedSamplez"))
    assert pacs("import", "--config", source, *copies[:3]).code == 0
    assert "1 set-aside" in pacs("import", "--config", source, other).out
    study = texts(scan_file(copies[0], {STUDY}).attributes, STUDY)[0]
    correct(pacs, source, study, "PatientName=Roe^Jane")


def correct(pacs, config: Path, study: str, change: str) -> None:
    done = pacs("correct", "update", "--config", config, "--study", study, "--set", change, "--yes")
    assert done.code == 0, done.err


def is_whole(pacs, config: Path) -> None:
    verified = pacs("index", "verify", "--config", config)
    assert verified.code == 0, verified.out


def test_an_archive_and_what_comes_since_is_copied_with_its_corrections(
    pacs, source: Path, copies: list[Path], tmp_path: Path
) -> None:
    filled(pacs, source, copies, tmp_path)
    (tmp_path / "source" / "accepted-conflicts.json").write_text('["patient  1"]')
    target = configure(tmp_path, "target", OTHER_LAYOUT)
    command = ("archive", "copy", "--from", source, "--to", target)
    done = pacs(*command)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("5 objects copied (0.")
    assert done.out.endswith("MB), 0 there before, 0 damaged, 0 failed\n")
    assert objects(tmp_path / "target") == objects(tmp_path / "source")
    is_whole(pacs, target)
    assert len(pacs("archive", "aside", "list", "--config", target).out.splitlines()) == 2
    assert "PatientName=Roe^Jane" in pacs("correct", "list", "--config", target).out
    assert (tmp_path / "target" / "accepted-conflicts.json").exists()
    # What comes later is under the corrections that were there, and those that come later.
    study = texts(scan_file(copies[0], {STUDY}).attributes, STUDY)[0]
    assert pacs("import", "--config", source, *copies).code == 0
    correct(pacs, source, study, "PatientID=4711")
    again = pacs(*command)
    assert (again.code, again.out.split(" (")[0]) == (0, "3 objects copied")
    assert "5 there before" in again.out
    is_whole(pacs, target)
    assert "PatientID=4711" in pacs("correct", "list", "--config", target).out
    # An index that was lost, as an object whose row was not written yet, is made up for.
    for file in (tmp_path / "target").glob("index.sqlite*"):
        file.unlink()
    assert "0 objects copied" in pacs(*command).out
    is_whole(pacs, target)
    assert objects(tmp_path / "target") == objects(tmp_path / "source")


def test_what_is_damaged_is_named_and_not_copied(
    pacs, source: Path, copies: list[Path], tmp_path: Path
) -> None:
    assert pacs("import", "--config", source, *copies).code == 0
    first, second, *_ = sorted((tmp_path / "source" / "objects").rglob("*.dcm"))
    content = bytearray(first.read_bytes())
    content[-100] ^= 1
    first.chmod(0o600)
    first.write_bytes(content)
    second.chmod(0o600)
    second.write_bytes(second.read_bytes()[:-10])
    target = configure(tmp_path, "target")
    done = pacs("archive", "copy", "--from", source, "--to", target)
    assert done.code == 1
    assert "3 objects copied" in done.out
    assert "2 damaged, 0 failed" in done.out
    named = [line for line in done.err.splitlines() if line.startswith("pacs: damaged")]
    assert sorted(line.split()[2].rpartition("/")[2] for line in named) == sorted(
        [first.name, second.name]
    )
    copied = {path.name for path in (tmp_path / "target" / "objects").rglob("*.dcm")}
    assert len(copied) == 3
    assert not copied & {first.name, second.name}
    is_whole(pacs, target)
    # The target has another object under a key of the source: it is never written over.
    third = next((tmp_path / "target" / "objects").rglob("*.dcm"))
    third.chmod(0o600)
    third.write_bytes(b"something else")
    done = pacs("archive", "copy", "--from", source, "--to", target)
    assert (done.code, "2 damaged, 1 failed" in done.out) == (1, True)
    assert third.read_bytes() == b"something else"


def test_a_copy_that_was_killed_goes_on(
    pacs, spawn, source: Path, copies: list[Path], tmp_path: Path
) -> None:
    assert pacs("import", "--config", source, *copies).code == 0
    target = configure(tmp_path, "target")
    command = ["archive", "copy", "--from", str(source), "--to", str(target)]
    process = spawn(*command, "--rate", "0.02")
    copied = tmp_path / "target" / "objects"
    until(lambda: process.poll() is not None or any(copied.rglob("*.dcm")))
    assert process.poll() is None, process.communicate()
    process.kill()
    process.wait()
    assert len(objects(tmp_path / "target")) < len(copies)
    done = pacs(*command)
    assert done.code == 0, done.err
    assert objects(tmp_path / "target") == objects(tmp_path / "source")
    is_whole(pacs, target)


def test_into_a_store_and_an_index_of_another_make(
    pacs, source: Path, copies: list[Path], tmp_path: Path
) -> None:
    filled(pacs, source, copies, tmp_path)

    async def run() -> None:
        target, index = MemoryStore(), MemoryIndex()
        work = ArchiveCopy(store, target, index)
        outcomes = [each.outcome async for each in work.run()]
        assert outcomes == [CopyOutcome.COPIED] * 5
        found = [each async for each in index.instances(Query(Level.IMAGE))]
        assert [each.corrections for each in found] == [(1,)] * 3
        work = ArchiveCopy(store, target, index)
        assert [each.outcome async for each in work.run()] == [CopyOutcome.PRESENT] * 5

    async def start_and_run() -> None:
        await store.start()
        try:
            await run()
        finally:
            await store.stop()

    store = FilesystemStore(tmp_path / "source" / "objects")
    anyio.run(start_and_run)


def test_what_two_tiers_have_is_copied_once(
    pacs, source: Path, copies: list[Path], tmp_path: Path
) -> None:
    """What was recalled is listed twice, and both at nearly the same time."""
    assert pacs("import", "--config", source, *copies[:3]).code == 0
    hot, cold = tmp_path / "source" / "objects", tmp_path / "cold"
    shutil.copytree(hot, cold)

    async def run() -> None:
        tiers = {"hot": FilesystemStore(hot), "cold": FilesystemStore(cold)}
        for each in tiers.values():
            await each.start()
        try:
            store, target = TieredStore(tiers, tmp_path / "locks"), MemoryStore()
            await store.start()
            work = ArchiveCopy(store, target, MemoryIndex())
            outcomes = Counter([each.outcome async for each in work.run()])
            assert outcomes.total() == 6
            assert set(outcomes) <= {CopyOutcome.COPIED, CopyOutcome.PRESENT}
            assert len([each async for each in target.objects()]) == 3
        finally:
            for each in tiers.values():
                await each.stop()

    anyio.run(run)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "source.toml"], "both config files name the data directory"),
        (["--to", "none.toml"], "none.toml"),
        (["--to", "target.toml", "--rate", "-1"], "megabytes per second"),
    ],
)
def test_a_wrong_command_line_does_nothing(
    pacs, source: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "source").mkdir()
    configure(tmp_path, "target")
    done = pacs("archive", "copy", "--from", source, *arguments)
    assert (done.code, message in done.err) == (2, True), done.err
    assert not (tmp_path / "target").exists()
