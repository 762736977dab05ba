"""Keeps the files of the chosen kind: they go where the distribution has them."""

import shutil
from pathlib import Path

chosen = Path("kinds") / "{{ cookiecutter.kind }}"
TARGETS = {
    chosen / "module": Path("src") / "{{ cookiecutter.__package }}",
    chosen / "tests": Path("tests"),
}

for source, target in TARGETS.items():
    for path in source.iterdir():
        path.rename(target / path.name)
shutil.rmtree("kinds")
Path(".ci/run").chmod(0o755)
