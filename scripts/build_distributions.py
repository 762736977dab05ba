"""Builds every distribution of the workspace, and checks what was built before anybody gets it.

Run ``uv run --no-sync python scripts/build_distributions.py FOLDER``. The folder then has a source
distribution and a wheel of each, SHA256SUMS, and ``sbom.cdx.json``: a CycloneDX bill of what
``pip install`` of all plugins brings, with versions and licences.

Built twice, the same commit gives the same bytes: times in archives are those of the commit.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Whoever passes on what comes under these need not publish what is theirs; as in SPDX, and as older
# metadata have it.
PERMISSIVE = re.compile(
    r"0BSD|Apache-2\.0|BSD-[23]-Clause|CC0-1\.0|HPND|ISC|MIT|MIT-0|MIT-CMU|MPL-2\.0|PSF-2\.0|Python-2\.0|Zlib|"
    r"License :: OSI Approved :: (Apache Software|BSD|ISC|MIT|Mozilla Public) License.*"
)
# Looked up in the distributions, since the bill of materials has nothing of what they say in words.
NOTED = {"protobuf": "BSD-3-Clause"}


def main() -> int:
    """Build, check, say what is wrong; return how many things are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the distributions go; made if need be")
    folder = parser.parse_args().folder.resolve()
    build(folder)
    wheels = sorted(folder.glob("*.whl"))
    problems = [problem for wheel in wheels for problem in check_wheel(wheel)]
    problems += check_descriptions(folder)
    components = write_sbom(folder, wheels)
    problems += check_licences(components)
    write_sums(folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(wheels)} wheels, {len(components)} components, {len(problems)} problems")
    return min(len(problems), 1)


def build(folder: Path) -> None:
    """Build all distributions, each wheel from its source distribution."""
    moment = run("git", "-C", str(ROOT), "log", "-1", "--format=%ct").strip()
    os.environ.setdefault("SOURCE_DATE_EPOCH", moment)
    _uv("build", "--quiet", "--all-packages", "--out-dir", str(folder), str(ROOT))
    for path in folder.glob("*.tar.gz"):
        settle(path, int(os.environ["SOURCE_DATE_EPOCH"]))


def settle(path: Path, moment: int) -> None:
    """Take from a source distribution when, where and by whom it was built: setuptools says so."""
    beside = path.with_suffix(".settled")
    with (
        tarfile.open(path) as built,
        beside.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=moment) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as settled,
    ):
        for member in sorted(built.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid = moment, 0, 0
            member.uname = member.gname = ""
            member.pax_headers = {}
            settled.addfile(member, built.extractfile(member) if member.isreg() else None)
    beside.replace(path)


def check_wheel(wheel: Path) -> Iterator[str]:
    """Yield what somebody who installs the wheel would miss."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        headers: Message = BytesParser().parsebytes(archive.read(metadata))
    if headers["License-Expression"] != "MIT":
        yield f"{wheel.name}: the licence is {headers['License-Expression']}, not MIT"
    if not any(re.search(r"\.dist-info/(licenses/)?LICENSE", name) for name in names):
        yield f"{wheel.name}: the text of its licence is not in it"
    if not headers["Requires-Python"]:
        yield f"{wheel.name}: it does not say which versions of Python it needs"
    for name in names:
        if "__pycache__" in name:
            yield f"{wheel.name}: {name} does not belong in it"


def check_descriptions(folder: Path) -> Iterator[str]:
    """Yield what twine says of metadata, and of READMEs that an index would not show."""
    files = [str(path) for path in sorted(folder.iterdir()) if path.suffix in (".whl", ".gz")]
    result = _tool("twine", "check", "--strict", *files)
    if result.returncode:
        yield result.stdout


def write_sbom(folder: Path, wheels: list[Path]) -> list[dict[str, object]]:
    """Install all wheels into an environment of their own; write its bill of materials."""
    target = folder / "sbom.cdx.json"
    with tempfile.TemporaryDirectory() as directory:
        environment = Path(directory) / "environment"
        _uv("venv", "--quiet", "--python", sys.executable, str(environment))
        python = environment / "bin" / "python"
        constraints = ("--constraint", str(ROOT / "constraints.txt"))
        wanted = [
            f"pacs-core[archive] @ {wheel.as_uri()}" if wheel.match("pacs_core-*") else str(wheel)
            for wheel in wheels
        ]
        _uv("pip", "install", "--quiet", "--python", str(python), *constraints, *wanted)
        form = ("--output-reproducible", "--sv", "1.6", "--of", "JSON", "--validate")
        pyproject = ("--pyproject", str(ROOT / "pyproject.toml"))
        result = _tool(
            "cyclonedx-py", "environment", str(python), *pyproject, *form, "-o", str(target)
        )
        if result.returncode:
            sys.exit(f"no bill of materials could be made: {result.stderr}")
    bill: dict[str, list[dict[str, object]]] = json.loads(target.read_text(encoding="utf-8"))
    return bill["components"]


def check_licences(components: list[dict[str, object]]) -> Iterator[str]:
    """Yield components whose licence is unknown, or asks for more than to be named."""
    for component in components:
        noted = NOTED.get(str(component["name"]))
        found = {noted} if noted else set(_licences(component))
        if not found:
            yield f"{component['name']}: its metadata name no licence; look, and note it in NOTED"
        elif not any(_is_permissive(each) for each in found):
            yield f"{component['name']}: its licence is {', '.join(sorted(found))}"


def _licences(component: dict[str, object]) -> Iterator[str]:
    for entry in component.get("licenses", ()):  # type: ignore[attr-defined]
        licence = entry.get("license", {})
        yield entry.get("expression") or licence.get("id") or licence.get("name")


def _is_permissive(expression: str) -> bool:
    """Look at an SPDX expression: of alternatives one will do, of a conjunction all must."""
    alternatives = expression.strip("()").split(" OR ")
    return any(
        all(
            PERMISSIVE.fullmatch(part.strip("() ").split(" WITH ")[0])
            for part in each.split(" AND ")
        )
        for each in alternatives
    )


def write_sums(folder: Path) -> None:
    """Write the digests, in the form that ``sha256sum --check`` reads."""
    names = [path for path in sorted(folder.iterdir()) if path.suffix in (".whl", ".gz", ".json")]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


def _tool(*command: str) -> "subprocess.CompletedProcess[str]":
    group = ("run", "--quiet", "--isolated", "--project", str(ROOT), "--only-group", "release")
    return _process("uv", *group, *command)


def _uv(*arguments: str) -> None:
    run("uv", *arguments)


def run(*command: str) -> str:
    """Run a command, and return what it says; end with its complaint if it fails."""
    result = _process(*command)
    if result.returncode:
        sys.exit(f"{' '.join(command[:4])} failed: {result.stderr}")
    return result.stdout


def _process(*command: str) -> "subprocess.CompletedProcess[str]":
    # This program's own environment must not show through.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return subprocess.run(  # noqa: S603, nothing in it comes from outside
        command, capture_output=True, text=True, check=False, env=environment
    )


if __name__ == "__main__":
    sys.exit(main())
