"""The image: built from nothing but Debian and wheels, and run as somebody without rights."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from pacs_core.cli.main import main
from pacs_core.testing.peer_programs import find_free_port

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "packaging" / "container"
SECRETS = ("PACS_DSN", "PACS_DATABASE_PASSWORD", "PACS_S3_KEY", "PACS_S3_SECRET")


@pytest.mark.parametrize("name", ["pacs.toml", "site.toml"])
def test_its_configurations_hold(name, monkeypatch, capsys):
    for each in SECRETS:
        monkeypatch.setenv(each, "postgresql://pacs:secret@database/pacs")
    assert main(["config", "check", "--config", str(CONTAINER / name)]) == 0, capsys.readouterr()


def test_the_example_gives_the_archive_what_its_configuration_asks_for():
    compose = yaml.safe_load((CONTAINER / "compose.yaml").read_text(encoding="utf-8"))
    archive = compose["services"]["archive"]
    assert set(archive["environment"]) == set(SECRETS)
    assert archive["read_only"] is True
    assert "./site.toml:/etc/pacs/pacs.toml:ro" in archive["volumes"]
    for service in compose["services"].values():
        for volume in service["volumes"]:
            name = volume.split(":")[0]
            assert name in compose["volumes"] or (CONTAINER / name).exists()


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture
def image(tmp_path):
    """A root file system as the Containerfile makes it, and the commands of buildah for it."""
    folder, wheels = tmp_path / "image", tmp_path / "image" / "wheels"
    run("uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", wheels, ROOT)
    for wheel in wheels.glob("pacs_speedups-*"):
        wheel.unlink()  # of this machine's libraries
    wanted = f"pacs-core[archive] @ {next(wheels.glob('pacs_core-*')).as_uri()}"
    # As pip of Debian's Python would choose.
    pip = ("uv", "tool", "run", "--quiet", "--python", "3.11", "pip")
    download = ("download", "--quiet", "--dest", wheels, "--find-links", wheels)
    base = ("--only-binary=:all:", "--constraint", ROOT / "constraints.txt")
    run(*pip, *download, *base, wanted)
    shutil.copy(ROOT / "constraints.txt", folder)
    shutil.copy(CONTAINER / "pacs.toml", folder)
    (folder / "base").mkdir()
    run("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,python3-venv", "bookworm",
        folder / "base" / "rootfs.tar")  # fmt: skip
    storage = ("--storage-driver", "vfs", "--root", tmp_path / "store", "--runroot", tmp_path / "r")
    (folder / "base" / "Containerfile").write_text("FROM scratch\nADD rootfs.tar /\n")
    isolated = ("bud", "--quiet", "--isolation", "chroot", "--format", "docker")
    run("buildah", *storage, *isolated, "-t", "localhost/base", folder / "base")
    options = ("BASE=localhost/base", "PIP_OPTIONS=--no-index", "WANTED=pacs-core[archive]")
    given = [part for each in options for part in ("--build-arg", each)]
    run(
        "buildah",
        *storage,
        *isolated,
        *given,
        "-f",
        CONTAINER / "Containerfile",
        "-t",
        "pacs",
        folder,
    )
    made = run("buildah", *storage, "from", "pacs").strip()
    yield lambda *more: ("buildah", *map(str, storage), *more), made
    run("buildah", *storage, "rm", "--all")


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("buildah") or not shutil.which("mmdebstrap"),
    reason="buildah and mmdebstrap, as root, make the image",
)
def test_it_runs_as_somebody_without_rights(image):
    buildah, made = image
    port, web = find_free_port(), find_free_port()
    inside = buildah("run", "--isolation", "chroot", made, "sh", "-c")
    # The network is that of this machine, where somebody may have the port of the web server.
    own = f"sed s/8042/{web}/ /etc/pacs/pacs.toml > own.toml && export PACS_CONFIG=own.toml"
    serve = (*inside, f"{own} && exec pacs serve --host 127.0.0.1 --port {port}")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    node = subprocess.Popen(serve, **pipes, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert node.poll() is None, node.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert run(*inside, "id -u").strip() == "911"
        run(*inside, f"pacs echo PACS@127.0.0.1:{port}")
        containerfile = (CONTAINER / "Containerfile").read_text("utf-8")
        check = json.loads(re.search(r"^HEALTHCHECK .*CMD (.+)$", containerfile, re.MULTILINE)[1])
        run(*inside, f"PACS_CONFIG=own.toml {' '.join(check)}")
        run(*inside, "! touch /opt/pacs/x && ! touch /etc/x && touch /var/lib/pacs/x")
    finally:
        os.killpg(node.pid, signal.SIGTERM)
        node.communicate(timeout=60)
