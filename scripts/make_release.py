"""Makes a release: one command, which changes nothing before everything is known to be right.

    scripts/release 0.2.0 --dry-run
    scripts/release 0.2.0

All distributions have one version, and are released together: whoever reports a fault need name
one number, and what was tested together is installed together. In a clone of the last commit the
version is set in each ``pyproject.toml``, the heading of the changelog gets its date, both are
committed, everything is built, checked and listed (``build_distributions.py``), and the commit is
tagged. Only then does this repository get commit, tag and ``dist/``; with ``--dry-run`` it gets
nothing. Pushing and uploading are yours: the last lines say how.
"""

import argparse
import re
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from build_distributions import ROOT, run

VERSION = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)


def main() -> int:
    """Make it; return 0, or say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", type=read_version, help="such as 0.2.0, or 0.2.0rc1")
    parser.add_argument("--dry-run", action="store_true", help="change nothing here")
    given = parser.parse_args()
    if changed := git(ROOT, "status", "--porcelain"):
        sys.exit(f"commit or remove first:\n{changed}")
    if git(ROOT, "tag", "--list", f"v{given.version}"):
        sys.exit(f"v{given.version} is a tag already")
    with tempfile.TemporaryDirectory() as directory:
        clone = Path(directory) / "clone"
        git(ROOT, "clone", "--quiet", str(ROOT), str(clone))
        files = [set_version(path, given.version) for path in distributions(clone)]
        date_changelog(clone / "CHANGELOG.md", given.version)
        who = [f"{key}={git(ROOT, 'config', key)}" for key in ("user.name", "user.email")]
        own = [part for each in who for part in ("-c", each)]
        git(clone, *own, "commit", "--quiet", "--all", "--message", f"Release {given.version}")
        built = Path(directory) / "dist"
        run(sys.executable, str(clone / "scripts" / "build_distributions.py"), str(built))
        name, title = f"v{given.version}", f"pacs-core {given.version}"
        git(clone, *own, "tag", "--annotate", name, "--message", title)
        print(f"{len(files)} distributions of version {given.version} are built and checked")
        if given.dry_run:
            print("nothing was changed here")
            return 0
        git(ROOT, "pull", "--quiet", "--ff-only", str(clone), "HEAD")
        git(ROOT, "fetch", "--quiet", str(clone), f"refs/tags/{name}:refs/tags/{name}")
        shutil.copytree(built, ROOT / "dist" / given.version)
    print(f"now: git push --follow-tags; cd dist/{given.version} && twine upload *.whl *.tar.gz")
    return 0


def read_version(text: str) -> str:
    """Return a version of PEP 440, in its normal form."""
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no version such as 0.2.0 or 0.2.0rc1")
    return text


def distributions(root: Path) -> list[Path]:
    """Return the project files of all distributions."""
    found = [root / "pyproject.toml"]
    for folder in ("plugins", "contrib"):
        found += sorted(root.glob(f"{folder}/*/pyproject.toml"))
    return found


def set_version(path: Path, version: str) -> Path:
    """Set the version of a distribution."""
    text = path.read_text(encoding="utf-8")
    changed, count = VERSION.subn(f'version = "{version}"', text, count=1)
    if not count:
        sys.exit(f"{path}: it has no version")
    path.write_text(changed, encoding="utf-8")
    return path


def date_changelog(path: Path, version: str) -> None:
    """Give the heading of a version its date."""
    text = path.read_text(encoding="utf-8")
    heading = f"## [{version}] - unreleased"
    if heading not in text:
        sys.exit(f"CHANGELOG.md has no heading {heading!r}")
    today = datetime.now(UTC).date().isoformat()
    path.write_text(text.replace(heading, f"## [{version}] - {today}", 1), encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and return what it says."""
    return run("git", "-C", str(folder), *arguments).strip()


if __name__ == "__main__":
    sys.exit(main())
