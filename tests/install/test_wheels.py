"""What is built is what is installed, and what is installed works without a checkout."""

import json
import shutil
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Peer
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleStudy

from .conftest import Environment

# Building and installing takes longer where nothing is cached, or much else runs.
pytestmark = [pytest.mark.anyio]

ROOT = Path(__file__).parents[2]
VERIFICATION = "1.2.840.10008.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
LEVEL, STUDY = tag_of("QueryRetrieveLevel"), tag_of("StudyInstanceUID")


def test_every_source_file_is_in_its_wheel(wheels):
    projects = [ROOT, *sorted(ROOT.glob("plugins/*/"))]
    for project in projects:
        table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
        if "hatch" not in table["tool"]:
            continue
        (package,) = table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        target = table["tool"]["hatch"]["build"]["targets"]["wheel"]
        places = {package: Path(package).name, **target.get("force-include", {})}
        sources = {
            (Path(inside) / path.relative_to(project / source)).as_posix()
            for source, inside in places.items()
            for path in (project / source).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        names = set(zipfile.ZipFile(wheels[table["project"]["name"]]).namelist())
        assert {name for name in names if ".dist-info/" not in name} == sources
        assert f"{Path(package).name}/py.typed" in names


def test_speedups_are_built_where_a_compiler_is(wheels):
    names = zipfile.ZipFile(wheels["pacs-speedups"]).namelist()
    for module in ("_header_walk", "_plain_elements"):
        found = [name for name in names if name.startswith(f"pacs_speedups/{module}.abi3")]
        assert len(found) == (shutil.which("cc") is not None)
    assert "pacs_speedups/py.typed" in names


def test_speedups_are_installed_without_a_compiler(environment, uncompiled_speedups):
    names = zipfile.ZipFile(uncompiled_speedups).namelist()
    assert "pacs_speedups/py.typed" in names
    assert not [name for name in names if name.endswith((".so", ".c"))]
    installed = environment("pacs-core", uncompiled_speedups)
    said = "header scan in Python: pacs-speedups 0.1.0 was built without a compiler\n"
    assert said in installed.run("pacs", "plugins", "doctor", code=1)


def test_kernel_and_verification_alone_answer_c_echo(environment):
    installed = environment("pacs-core", "pacs-sop-verification")
    assert installed.run("pacs", "--version").strip()
    with installed.serve("--port", 0, "--data", "data") as port:
        assert "answered" in installed.run("pacs", "echo", f"PACS@127.0.0.1:{port}")
    assert "sop-verification" in installed.run("pacs", "plugins")
    absent = (
        "import importlib.util as u; print(u.find_spec('pacs_sop_storage'), u.find_spec('pytest'))"
    )
    assert installed.run("python", "-c", absent).split() == ["None", "None"]


async def test_a_third_party_store_and_index_take_the_place_of_ours(environment):
    installed = environment(
        "pacs-core",
        "pacs-sop-verification",
        "pacs-sop-storage",
        "pacs-sop-query-retrieve",
        "pacs-memory-archive",
    )
    config = installed.directory / "pacs.toml"
    config.write_text(
        '[node]\nport = 0\ndata_directory = "data"\n[archive]\nstore = "memory"\nindex = "memory"\n'
    )
    study = SampleStudy()
    datasets = [study.make("CT") for _ in range(3)]
    with installed.serve("--config", config) as port:
        await _store_find_and_get(Peer("PACS", "127.0.0.1", port), datasets)
    assert sum(path.stat().st_size for path in (installed.directory / "data").rglob("*.*")) == 0


async def _store_find_and_get(peer, datasets):
    sop_class = datasets[0].sop_class_uid
    proposals = [Proposal(sop_class, scp=True), Proposal(FIND), Proposal(GET)]
    sent = {each.sop_instance_uid: each.encode() for each in datasets}
    got = {}

    async def receive(operation):
        uid = operation.command.affected_sop_instance_uid
        got[uid] = await operation.dataset.read(1 << 24)
        return 0x0000

    async with connect(peer, proposals) as association:
        for uid, data in sent.items():
            response = await association.c_store(sop_class, uid, data)
            assert response.status == 0x0000, response
        count = tag_of("NumberOfStudyRelatedInstances")
        query = {LEVEL: ("STUDY",), STUDY: (), count: ()}
        found = [match async for _, match in association.c_find(FIND, query) if match]
        assert [match[count] for match in found] == [("3",)]
        one = {LEVEL: ("STUDY",), STUDY: found[0][STUDY]}
        statuses = [c.status async for c, _ in association.c_get(GET, one, receive)]
        assert statuses[-1] == 0x0000
    assert got == sent


def test_without_store_and_index_the_node_says_how_to_get_them(environment):
    installed = environment("pacs-core")
    message = installed.run("pacs", "plugins")
    assert "sop-verification" not in message
    config = installed.directory / "pacs.toml"
    config.write_text('[archive]\nstore = "memory"\n')
    installed.run("pacs", "serve", "--config", config, code=2)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_pip_installs_a_whole_archive_from_a_folder_of_wheels(wheel_folder, tmp_path):
    """Neither workspace nor uv: a new environment, pip, and what is in the folder."""
    directory = tmp_path / "environment"
    venv.create(directory, with_pip=True)
    installed = Environment(directory)
    folder, constraints = ("--find-links", wheel_folder), ("--constraint", ROOT / "constraints.txt")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-compile")
    installed.run("pip", "install", *quiet, *folder, *constraints, "pacs-core[archive]")
    assert "No broken requirements found" in installed.run("pip", "check")
    # What is there comes from the folder, and has no way back to a checkout.
    listed = json.loads(installed.run("pip", "list", "--format", "json"))
    names = {each["name"] for each in listed if each["name"].startswith("pacs-")}
    assert {"pacs-core", "pacs-sop-storage", "pacs-index-sqlite", "pacs-store-filesystem"} <= names
    assert not [each for each in listed if each.get("editable_project_location")]
    study = SampleStudy()
    with installed.serve("--port", 0, "--data", "data") as port:
        assert "answered" in installed.run("pacs", "echo", f"PACS@127.0.0.1:{port}")
        peer = Peer("PACS", "127.0.0.1", port)
        await _store_find_and_get(peer, [study.make("CT") for _ in range(3)])
    installed.run("pacs", "index", "verify", "--content", "--data", "data")
