"""Makes a Debian package: the archive with all plugins in an environment of its own.

    scripts/make_deb FOLDER

It needs uv, dpkg-dev and an index of packages, and neither debhelper nor root. Wheels of the
workspace are built, and installed with what they need, in the versions of ``constraints.txt``,
below ``/usr/lib/pacs``. Libraries of the system that the package depends on are found by
``dpkg-shlibdeps``; it runs on the Debian on which it was made, and on later ones that have the same
minor version of Python.

Made twice, the same commit gives the same bytes: times are those of the commit.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from build_distributions import ROOT, run

PACKAGING = ROOT / "packaging" / "debian"
HOME = "usr/lib/pacs"
PROGRAM = f"""#!/{HOME}/bin/python3
import sys

from pacs_core.cli.main import main

sys.exit(main())
"""


def main() -> int:
    """Make it, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the package goes; made if need be")
    parser.add_argument("--python", default="3.11", help="of the Debian it is for (3.11)")
    parser.add_argument("--compression", default="xz", choices=("xz", "gzip", "zstd", "none"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    moment = int(run("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))
    os.environ["SOURCE_DATE_EPOCH"] = str(moment)
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "root"
        install(root, Path(temporary) / "wheels", given.python)
        add_files(root, given.python, moment)
        made = describe(root, given.python)
        settle(root, moment)
        target = given.folder.resolve() / f"{made}.deb"
        form = (f"-Z{given.compression}", "--threads-max=1", "--root-owner-group")
        run("dpkg-deb", *form, "--build", str(root), str(target))
    print(target)
    return 0


def install(root: Path, wheels: Path, python: str) -> None:
    """Install all distributions, from wheels that are built for it."""
    run("uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(wheels), str(ROOT))
    # By address: a package of one of our names that is in an index is not ours.
    own = {path.name.split("-")[0].replace("_", "-"): path for path in wheels.glob("*.whl")}
    constraints = wheels / "constraints.txt"
    pinned = [f"{name} @ {path.as_uri()}\n" for name, path in sorted(own.items())]
    constraints.write_text((ROOT / "constraints.txt").read_text("utf-8") + "".join(pinned))
    site = root / HOME / "lib" / f"python{python}" / "site-packages"
    options = ("--quiet", "--target", str(site), "--python-version", python)
    limits = ("--only-binary", ":all:", "--constraint", str(constraints))
    run("uv", "pip", "install", "--no-config", *options, *limits, *wanted())
    shutil.rmtree(site / "bin")
    for record in site.glob("*.dist-info/RECORD"):
        # Where and when it was installed is nobody's business.
        for name in ("direct_url.json", "uv_cache.json", "REQUESTED"):
            (record.parent / name).unlink(missing_ok=True)
        lines = record.read_text("utf-8").splitlines(keepends=True)
        here = [each for each in lines if (site / each.split(",")[0].strip('"')).exists()]
        record.write_text("".join(sorted(here)), "utf-8")
    (site / ".lock").unlink(missing_ok=True)


def wanted() -> list[str]:
    """Return what a clone installs: all plugins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found: list[str] = project["dependency-groups"]["archive"]
    return found


def add_files(root: Path, python: str, moment: int) -> None:
    """Add the program, its pages and its service to the environment."""
    home, documents = root / HOME, root / "usr/share/doc/pacs"
    write(home / "pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n")
    write(home / "bin/pacs", PROGRAM).chmod(0o755)
    (home / "bin/python3").symlink_to("/usr/bin/python3")
    (root / "usr/bin").mkdir()
    (root / "usr/bin/pacs").symlink_to("../lib/pacs/bin/pacs")

    unit = (ROOT / "packaging/systemd/pacs.service").read_text("utf-8")
    write(root / "usr/lib/systemd/system/pacs.service", unit.replace("/opt/pacs", f"/{HOME}"))
    write(root / "etc/pacs/pacs.toml", (PACKAGING / "pacs.toml").read_text("utf-8"))

    licence = "".join(
        f" {line}\n" if line else " .\n"
        for line in (ROOT / "LICENSE").read_text("utf-8").splitlines()[2:]
    )
    write(documents / "copyright", (PACKAGING / "copyright").read_text("utf-8") + licence)
    time = format_datetime(datetime.fromtimestamp(moment, UTC))
    changes = (
        f"pacs ({version()}) unstable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n"
        f" -- pacs-core developers <maintainers@pacs-core.invalid>  {time}\n"
    )
    write_packed(documents / "changelog.gz", changes)
    write_packed(documents / "CHANGELOG.md.gz", (ROOT / "CHANGELOG.md").read_text("utf-8"))

    # As it says itself, in its own Python.
    os.environ["PYTHONPATH"] = str(home / "lib" / f"python{python}" / "site-packages")
    uncompiled = ("env", "PYTHONDONTWRITEBYTECODE=1", "PACS_CONFIG=/dev/null")
    pacs = (*uncompiled, "uv", "run", "--no-project", "--python", python, "python", "-m",
            "pacs_core.cli.main")  # fmt: skip
    pages = root / "usr/share/man/man1"
    run(*pacs, "man", "--output", str(pages))
    for page in pages.glob("*.1"):
        write_packed(page.with_name(f"{page.name}.gz"), page.read_text("utf-8"))
        page.unlink()
    completions = root / "usr/share/bash-completion/completions/pacs"
    write(completions, run(*pacs, "completion", "bash"))
    for compiled in [*home.rglob("__pycache__")]:  # by what its commands have started
        shutil.rmtree(compiled)


def write(path: Path, text: str) -> Path:
    """Write a file, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def write_packed(path: Path, text: str) -> None:
    """Write a file as policy wants documents: packed, without a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def version() -> str:
    """Return the version, in Debian's form: a candidate comes before what it is one for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = str(project["version"])
    for mark in ("a", "b", "rc"):
        found = found.replace(mark, f"~{mark}")
    return found


def describe(root: Path, python: str) -> str:
    """Write what dpkg wants to know; return the name of the package's file."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    major, minor = python.split(".")
    architecture = run("dpkg", "--print-architecture").strip()
    facts = {
        "version": version(),
        "architecture": architecture,
        "size": sum(path.stat().st_size for path in files) // 1024,
        "python": python,
        "next_python": f"{major}.{int(minor) + 1}",
        "libraries": libraries(root),
    }
    control = root / "DEBIAN"
    write(control / "control", (PACKAGING / "control").read_text("utf-8").format(**facts))
    write(control / "conffiles", (PACKAGING / "conffiles").read_text("utf-8"))
    for script in ("postinst", "prerm", "postrm"):
        write(control / script, (PACKAGING / script).read_text("utf-8")).chmod(0o755)
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"  # noqa: S324
            for path in files if "etc" not in path.relative_to(root).parts[:1]]  # fmt: skip
    write(control / "md5sums", "".join(sums))
    return f"pacs_{version()}_{architecture}"


def libraries(root: Path) -> str:
    """Return the packages of the libraries that ours are linked with; wheels bring some along."""
    objects = sorted(str(path) for path in root.rglob("*.so*") if path.is_file())
    with tempfile.TemporaryDirectory() as directory:
        write(
            Path(directory) / "debian/control", "Source: pacs\n\nPackage: pacs\nArchitecture: any\n"
        )
        brought = [f"-l{folder}" for folder in sorted({str(Path(each).parent) for each in objects})]
        said = run(
            "env", "-C", directory, "dpkg-shlibdeps", "-O", "--ignore-missing-info",
            "--warnings=0", *brought, *(f"-e{each}" for each in objects),
        )  # fmt: skip
    return said.strip().removeprefix("shlibs:Depends=")


def settle(root: Path, moment: int) -> None:
    """Give all files the modes that packages have, and the time of the commit."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or (path.stat().st_mode & 0o100 and ".so" not in path.name)
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (moment, moment), follow_symlinks=False)


if __name__ == "__main__":
    sys.exit(main())
