"""Fetches OHIF, as it is published, and makes of it what this distribution serves.

Run ``python build.py``; it needs `npm`, which knows where packages come from. ``--wheel FOLDER``
builds the wheel afterwards, with uv.

- The package's checksum is pinned: what is built is what was tested.
- Left out are the segmentation models' runtime (`ort`, 136 MB), the microscopy viewer and source
  maps: 49 MB remain of 204.
- OHIF is compiled for the root of a site. Each bundle says ``__webpack_require__.p = "/"``; here it
  asks the page, and a worker asks where it was loaded from. So one wheel serves under any path.
- One fault is mended: it stays black with native YBR_FULL_422, two bytes a pixel (PS3.3
  C.7.6.3.1.2). Whether its colours are to be converted it tells by the length of a frame, and
  counts that of 4:2:0 (cornerstone3D, `isColorConversionRequired`).
"""

import argparse
import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PACKAGE = "@ohif/app"
VERSION = "3.13.2"
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
LEFT_OUT = ("ort", "dicom-microscopy-viewer", "google.js", "sw.js", "init-service-worker.js")
NOT_SERVED = (".map", "_headers", "_redirects")

APP = Path(__file__).parent / "src" / "pacs_viewer_ohif" / "app"

COMPILED_FOR = b'__webpack_require__.p = "/"'
COUNTED_AS_420 = b"""(3 * Math.ceil(columns / 2) + Math.floor(columns / 2)) *
                Math.ceil(rows / 2) +
                Math.floor(rows / 2) * columns);"""
COUNTED_AS_422 = b"2 * rows * columns);"
ASKED = b'__webpack_require__.p = self.PUBLIC_URL || new URL("./", self.location.href).pathname'


class BuildError(Exception):
    """OHIF cannot be built, and why."""


def fetch(folder: Path) -> Path:
    """Let npm fetch the package; return the archive, whose checksum has been compared.

    Raises
    ------
    BuildError
        There is no npm, it fails, or the archive is another.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError("npm is needed to fetch OHIF; install it (Debian: apt-get install npm)")
    command = [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"]
    done = subprocess.run(  # noqa: S603 - words of this file
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"npm pack failed: {done.stderr.strip()}")
    (archive,) = folder.glob("*.tgz")
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != SHA512:
        raise BuildError(f"{PACKAGE}@{VERSION} is another package than was tested: sha512-{found}")
    return archive


def served_files(archive: tarfile.TarFile) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo]]:
    """Iterate over the files to serve, with their paths in the app."""
    for member in archive:
        path = PurePosixPath(member.name)
        if not member.isfile() or path.parts[:2] != ("package", "dist") or ".." in path.parts:
            continue
        inner = PurePosixPath(*path.parts[2:])
        if inner.parts[0] not in LEFT_OUT and not inner.name.endswith(NOT_SERVED):
            yield inner, member


def relocate(name: str, data: bytes) -> bytes:
    """Return a bundle that asks where it is served, or a style sheet with relative URLs."""
    if name.endswith(".js"):
        return data.replace(COMPILED_FOR, ASKED)
    return data.replace(b"url(/", b"url(./") if name.endswith(".css") else data


def build(app: Path = APP) -> int:
    """Make the app anew; return how many of its files were made for the root of a site."""
    relocated: list[str] = []
    mended = 0
    with tempfile.TemporaryDirectory() as folder:
        unfinished = Path(folder) / "app"
        with tarfile.open(fetch(Path(folder))) as archive:
            for path, member in served_files(archive):
                content = archive.extractfile(member)
                if content is None:
                    raise BuildError(f"{member.name} cannot be read")
                read = content.read()
                data = relocate(path.name, read)
                relocated += [path.name] if data != read else []
                mended += COUNTED_AS_420 in data
                data = data.replace(COUNTED_AS_420, COUNTED_AS_422)
                target = unfinished / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            license_text = archive.extractfile("package/LICENSE")
            if license_text is not None:
                (unfinished / "LICENSE").write_bytes(license_text.read())
        (unfinished / "VERSION").write_text(f"{VERSION}\n")
        # What was compiled for a place of its own is the page's script, or that of a worker.
        workers = [name for name in relocated if not name.startswith("app.")]
        (unfinished / "WORKERS").write_text("\n".join(workers))
        if not relocated:
            raise BuildError("no file says where it is served from; OHIF is compiled otherwise")
        if not mended:
            raise BuildError("no file counts YBR_FULL_422; look whether that is mended in OHIF")
        shutil.rmtree(app, ignore_errors=True)
        shutil.copytree(unfinished, app)
    return len(relocated)


def main() -> int:
    """Build, and say what was built."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wheel", metavar="FOLDER", help="build the wheel, into this folder")
    options = parser.parse_args()
    try:
        relocated = build()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in APP.rglob("*") if path.is_file())
    print(f"{PACKAGE} {VERSION}: {size / 1e6:.0f} MB, {relocated} files relocated, in {APP}")
    if options.wheel:
        command = ["uv", "build", "--wheel", "--out-dir", options.wheel, str(Path(__file__).parent)]
        return subprocess.run(command, check=False).returncode  # noqa: S603 - its user's own
    return 0


if __name__ == "__main__":
    sys.exit(main())
