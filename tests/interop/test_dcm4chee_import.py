"""What a dcm4chee has in its storage folder, taken over: files, TAR archives of series, digests.

The folders are laid out as dcm4chee-arc 5 does by default (Storage Path Format
``{now,date,yyyy/MM/dd}/{0020000D,hash}/{0020000E,hash}/{00080018,hash}``), and dcm4chee 2.
"""

import json
import tarfile
import zipfile
from hashlib import md5, sha256
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from pacs_core.cli.main import main
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

SAMPLES = Path(find_spec("pydicom").origin).parent / "data" / "test_files"
# Native, and compressed as it came or by the archive: RLE, JPEG, JPEG-LS, JPEG 2000, deflated.
NAMES = (
    "MR_small.dcm", "CT_small.dcm", "MR_small_RLE.dcm", "JPGExtended.dcm", "image_dfl.dcm",
    "JPEG2000.dcm", "JPEG-LL.dcm", "reportsi.dcm",
)  # fmt: skip
FILES = [SAMPLES / name for name in NAMES if (SAMPLES / name).is_file()]


def java_hash(text):
    """Return ``String.hashCode`` of Java as eight hexadecimal digits: ``{…,hash}`` of a path."""
    value = 0
    for letter in text:
        value = (31 * value + ord(letter)) & 0xFFFFFFFF
    return f"{value:08X}"


def hashes(data):
    return [
        java_hash(each)
        for each in (data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID)
    ]


@pytest.fixture(scope="module")
def contents():
    """Files by the three hashes of their path; of two with one SOP Instance UID the first."""
    found = {}
    for path in FILES:
        data = dcmread(path, stop_before_pixels=True)
        if all(data.SOPInstanceUID != other[1] for other in found):
            found["/".join(hashes(data)), data.SOPInstanceUID] = path.read_bytes()
    assert len(found) > 5
    return {name: data for (name, _), data in found.items()}


@pytest.fixture
def storage(tmp_path, contents):
    """The folder of a dcm4chee-arc, with metadata of a series in a ZIP archive beside."""
    folder = tmp_path / "fs1"
    for name, data in contents.items():
        path = folder / "2024" / "03" / "09" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with zipfile.ZipFile(folder / "2024" / "metadata.zip", "w") as archive:
        archive.writestr("00000000", json.dumps({"00080018": {"vr": "UI", "Value": ["1.2.3"]}}))
    (folder / "NO_MOUNT").touch()
    return folder


@pytest.fixture
def config(tmp_path):
    """The config file of an archive with nothing in it."""
    path = tmp_path / "pacs.toml"
    path.write_text(f'[node]\ndata_directory = "{tmp_path / "data"}"\n')
    return path


def take_over(config, place, *more):
    return main(["import", "--from-dcm4chee", str(place), "--config", str(config), *map(str, more)])


def datasets(config):
    """Digests of what the archive holds, without the File Meta Information, which is its own."""
    objects = (config.parent / "data" / "objects").rglob("*.dcm")
    return sorted(dataset_of(path.read_bytes()) for path in objects)


def dataset_of(file):
    begin = 144 + int.from_bytes(file[140:144], "little")
    return sha256(file[begin:]).hexdigest()


def test_a_storage_folder_is_taken_whole_and_nothing_twice(storage, config, contents, capsys):
    assert take_over(config, storage) == 0
    assert capsys.readouterr().out == f"{len(contents)} instances stored, 2 skipped\n"
    assert datasets(config) == sorted(map(dataset_of, contents.values()))
    assert take_over(config, storage) == 0
    told = capsys.readouterr().out
    assert told == f"0 instances stored, {len(contents)} known, 2 skipped\n"
    assert main(["index", "verify", "--content", "--config", str(config)]) == 0


def test_one_that_was_interrupted_goes_on(storage, config, contents, tmp_path, capsys):
    away = [path for path in storage.rglob("*") if path.is_file() and len(path.name) == 8][:3]
    for path in away[1:]:
        path.rename(tmp_path / path.name)
    assert take_over(config, storage) == 0
    for path in away[1:]:
        (tmp_path / path.name).rename(path)
    capsys.readouterr()
    assert take_over(config, storage) == 0
    told = capsys.readouterr().out
    assert told == f"2 instances stored, {len(contents) - 2} known, 2 skipped\n"


def digests_of(storage, tmp_path):
    """Write what the database has of each file: its MD5, and its path below the storage."""
    lines = [
        f"{md5(path.read_bytes()).hexdigest()}  {path.relative_to(storage).as_posix()}\n"
        for path in sorted(storage.rglob("*"))
        if path.is_file() and len(path.name) == 8 and path.suffix == ""
    ]
    file = tmp_path / "digests"
    file.write_text("".join(lines))
    return file


def test_files_are_compared_with_the_digests_of_the_database(
    storage, config, contents, tmp_path, capsys
):
    digests = digests_of(storage, tmp_path)
    flipped, gone, *_ = sorted(p for p in storage.rglob("*") if p.is_file() and len(p.name) == 8)
    whole = flipped.read_bytes()
    flipped.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    kept = gone.read_bytes()
    gone.unlink()
    assert take_over(config, storage, "--digests", digests) == 1
    told = capsys.readouterr()
    assert told.out == f"{len(contents) - 2} instances stored, 2 failed, 2 skipped\n"
    assert f"{flipped}: it is damaged in dcm4chee: its MD5 is " in told.err
    assert f"{gone}: dcm4chee has it no more" in told.err
    assert dataset_of(whole) not in datasets(config)
    gone.write_bytes(kept)
    flipped.write_bytes(whole)
    assert take_over(config, storage, "--digests", digests) == 0
    assert datasets(config) == sorted(map(dataset_of, contents.values()))


def tar_of(path, files, *, listed=True):
    """Write a TAR archive as dcm4chee 2 packs a series: MD5SUM first, entries named by hashes."""
    with tarfile.open(path, "w") as archive:
        if listed:
            lines = [f"{md5(data).hexdigest()}  {name}\n" for name, data in files.items()]
            add(archive, "MD5SUM", "".join(lines).encode())
        for name, data in files.items():
            add(archive, name, data)


def add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, BytesIO(data))


@pytest.fixture
def series(contents):
    """Entries of the archive: ``{series hash}/{instance hash}``."""
    return {name.partition("/")[2]: data for name, data in contents.items()}


@pytest.mark.parametrize("listed", [True, False])
def test_series_in_tar_archives_are_taken(config, series, tmp_path, capsys, listed):
    folder = tmp_path / "nearline" / "2009" / "3" / "9" / "11" / "8AC1F2D0"
    folder.mkdir(parents=True)
    tar_of(folder / "0A0B0C0D-01020304.tar", series, listed=listed)
    assert take_over(config, tmp_path / "nearline") == 0
    assert capsys.readouterr().out == f"{len(series)} instances stored\n"
    assert datasets(config) == sorted(map(dataset_of, series.values()))
    assert take_over(config, tmp_path / "nearline") == 0
    assert capsys.readouterr().out == f"0 instances stored, {len(series)} identical\n"


def test_damage_in_tar_archives_is_named(config, series, tmp_path, capsys):
    folder = tmp_path / "nearline"
    folder.mkdir()
    (name, data), (other, rest), *_ = series.items()
    tar_of(folder / "flipped.tar", {name: data})
    packed = (folder / "flipped.tar").read_bytes()
    at = packed.index(data[-400:])
    (folder / "flipped.tar").write_bytes(packed[:at] + b"!!!" + packed[at + 3 :])
    tar_of(folder / "cut.tar", {other: rest})
    cut = (folder / "cut.tar").read_bytes()
    (folder / "cut.tar").write_bytes(cut[: 2048 + len(rest) // 2])
    (folder / "none.tar").write_bytes(b"no archive" * 100)
    tar_of(folder / "evil.tar", {"../../../evil": data, "/etc/evil": rest}, listed=False)
    assert take_over(config, folder) == 1
    told = capsys.readouterr()
    assert told.out.startswith("2 instances stored, ")
    assert f"flipped.tar!{name}: it is damaged in dcm4chee: its MD5 is" in told.err
    assert f"cut.tar!{other}: the TAR archive ends early" in told.err
    assert "none.tar: the TAR archive is damaged: " in told.err
    assert not list(tmp_path.parent.rglob("evil"))


def test_an_archive_that_is_cut_between_entries_is_not_whole(config, series, tmp_path, capsys):
    folder = tmp_path / "nearline"
    folder.mkdir()
    tar_of(folder / "series.tar", series, listed=False)
    first = next(iter(series.values()))
    size = 512 + -(-len(first) // 512) * 512
    (folder / "series.tar").write_bytes((folder / "series.tar").read_bytes()[:size])
    assert take_over(config, folder) == 1
    told = capsys.readouterr()
    assert told.out == "1 instance stored, 1 failed\n"
    assert f"the TAR archive is damaged: there is no more after {size} bytes" in told.err


def test_a_server_is_asked_over_dicomweb(storage, config, contents, tmp_path, capsys):
    """Any DICOMweb server; this one has what was taken from the folder."""
    assert take_over(config, storage) == 0
    tables = {"plugin": {"web": {"port": 0}}, "node": {"data_directory": str(tmp_path / "data")}}
    plugins = ("web", "dicomweb", "store-filesystem", "index-sqlite", "codec-basic")
    with node_process(tmp_path / "data", tables, plugins=plugins) as node:
        url = node.process.stdout.readline().split()[1].rstrip("/")
        other = tmp_path / "other" / "pacs.toml"
        other.parent.mkdir()
        other.write_text(f'[node]\ndata_directory = "{other.parent / "data"}"\n')
        capsys.readouterr()
        assert take_over(other, f"{url}/dicom-web") == 0
        assert capsys.readouterr().out == f"{len(contents)} instances stored\n"
        assert datasets(other) == datasets(config)
        assert take_over(other, f"{url}/dicom-web") == 0
        assert capsys.readouterr().out == f"0 instances stored, {len(contents)} known\n"
    until(lambda: node.process.poll() is not None)


def test_what_cannot_be_taken_is_told(config, storage, tmp_path, capsys):
    assert take_over(config, tmp_path / "nowhere") == 1
    assert "is no folder: name the one of its storage" in capsys.readouterr().err
    assert take_over(config, storage, "file.dcm") == 2
    assert take_over(config, storage, "--from-orthanc", "x") == 2
    assert take_over(config, "http://127.0.0.1:1/rs", "--digests", "x") == 2
    (tmp_path / "digests").write_text("no digest\n")
    capsys.readouterr()
    assert take_over(config, storage, "--digests", tmp_path / "digests") == 1
    assert "digests, line 1: it is no MD5 and path" in capsys.readouterr().err
    assert take_over(config, storage, "--digests", tmp_path / "none") == 1
    assert "none cannot be read" in capsys.readouterr().err
