"""The Debian package: made twice alike, installed on a Debian that has nothing, used, removed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from pacs_core.testing.peer_programs import find_free_port

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging" / "debian"
PROGRAMS = ("dpkg-deb", "dpkg-shlibdeps", "mmdebstrap", "unshare")

needs_debian = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, PROGRAMS)),
    reason=f"{', '.join(PROGRAMS)}, as root, make and try the package",
)


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_its_scripts_are_shell(name):
    subprocess.run(["sh", "-n", PACKAGING / name], check=True)


def run(*command, code=0):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == code, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def make(folder):
    make_deb = (sys.executable, ROOT / "scripts" / "make_debian_package.py")
    return Path(run(*make_deb, folder, "--compression", "none").splitlines()[-1])


@contextmanager
def node(inside, root, port):
    """Run the archive as its user would, until the end of the block."""
    script = (
        f"mount -t proc proc {root}/proc; exec chroot --userspec=pacs:pacs {root} env " + inside
    )
    command = ("unshare", "--mount", "--pid", "--fork", "--kill-child=TERM", "sh", "-c", script)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        line = process.stdout.readline()
        assert re.match(rf"ready: dicom://PACS@127\.0\.0\.1:{port} ", line), process.communicate()
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.long
@pytest.mark.timeout(3600)
@needs_debian
def test_it_is_made_installed_used_and_removed(tmp_path):
    began = time.monotonic()
    package = make(tmp_path / "one")
    again = make(tmp_path / "another")
    print(f"{package.stat().st_size >> 20} MiB, made twice in {time.monotonic() - began:.0f} s")
    assert sha256(package.read_bytes()).digest() == sha256(again.read_bytes()).digest()

    root = tmp_path / "root"
    run("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,adduser", "bookworm", root)
    shutil.copy(package, root)
    run("chroot", root, "dpkg", "--install", f"/{package.name}")
    assert run("chroot", root, "pacs", "--version").strip()
    assert "Usage: pacs" in run("chroot", root, "pacs", "--help")
    for name in ("usr/lib/systemd/system/pacs.service", "usr/share/man/man1/pacs.1.gz"):
        assert (root / name).is_file()
    stated = (root / "var/lib/pacs").stat()
    assert (stated.st_mode & 0o777, stated.st_uid != 0) == (0o700, True)

    port = find_free_port()
    serve = f"PACS_CONFIG=/etc/pacs/pacs.toml pacs serve --port {port}"
    with node(serve, root, port):
        run("chroot", root, "pacs", "echo", f"PACS@127.0.0.1:{port}")
    assert (root / "var/lib/pacs/index.sqlite").is_file()

    run("chroot", root, "dpkg", "--remove", "pacs")
    assert not (root / "usr/lib/pacs").exists()
    assert (root / "etc/pacs/pacs.toml").is_file()
    said = run("chroot", root, "dpkg", "--purge", "pacs")
    assert "/var/lib/pacs is kept" in said
    assert not (root / "etc/pacs").exists()
    assert (root / "var/lib/pacs/index.sqlite").is_file()

    # Nobody has left anything: nothing is left.
    shutil.rmtree(root / "var/lib/pacs")
    run("chroot", root, "dpkg", "--install", f"/{package.name}")
    run("chroot", root, "dpkg", "--purge", "pacs")
    assert not (root / "var/lib/pacs").exists()
    assert "pacs:" not in (root / "etc/passwd").read_text()
