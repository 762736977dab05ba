"""What is taken of OHIF's package, and what is made of it."""

import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def build() -> ModuleType:
    path = Path(__file__).parents[1] / "build.py"
    spec = importlib.util.spec_from_file_location("ohif_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def archive_of(*names: str) -> tarfile.TarFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


def test_what_is_large_and_not_needed_is_left_out(build: ModuleType) -> None:
    archive = archive_of(
        "package/dist/app.bundle.1.js",
        "package/dist/app.bundle.1.js.map",
        "package/dist/assets/favicon.ico",
        "package/dist/ort/model.wasm",
        "package/dist/dicom-microscopy-viewer/x.js",
        "package/dist/sw.js",
        "package/README.md",
    )
    taken = [str(path) for path, _ in build.served_files(archive)]
    assert taken == ["app.bundle.1.js", "assets/favicon.ico"]


def test_a_path_that_leads_out_is_not_taken(build: ModuleType) -> None:
    archive = archive_of("package/dist/../../etc/passwd", "/package/dist/x", "package/dist/a/../b")
    assert list(build.served_files(archive)) == []


def test_bundles_ask_where_they_are_served(build: ModuleType) -> None:
    made = build.relocate("app.js", b'x;__webpack_require__.p = "/";y')
    assert b'p = "/"' not in made
    assert b"self.PUBLIC_URL" in made
    assert build.relocate("app.css", b"src:url(/a.woff2)") == b"src:url(./a.woff2)"
    assert build.relocate("a.wasm", b"url(/") == b"url(/"


def test_another_package_of_that_name_is_refused(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho other > ohif-app.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setattr(build.shutil, "which", lambda _: str(npm))
    with pytest.raises(build.BuildError, match="another package than was tested"):
        build.fetch(tmp_path)
