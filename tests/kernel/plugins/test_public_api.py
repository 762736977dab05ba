"""Plugins, ours and others', import what is public and nothing else.

`docs/explanation/api-stability.md` says what that is; `lint-imports` holds our plugins to packages,
this test everything that stands for a third party to names in ``__all__`` as well.
"""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PUBLIC = {
    "pacs_core.api.attribute_lists",
    "pacs_core.api.auditing",
    "pacs_core.api.sandbox",
    "pacs_core.api.workers",
    "pacs_core.api.commands",
    "pacs_core.api.conditions",
    "pacs_core.api.conversion",
    "pacs_core.api.copying",
    "pacs_core.api.file_commands",
    "pacs_core.api.file_queries",
    "pacs_core.api.files",
    "pacs_core.api.identifiers",
    "pacs_core.api.images",
    "pacs_core.api.normalized",
    "pacs_core.api.control",
    "pacs_core.api.sr",
    "pacs_core.api.streams",
    "pacs_core.api.pauses",
    "pacs_core.api.threads",
    "pacs_core.api.times",
    "pacs_core.api.tls",
    "pacs_core.association",
    "pacs_core.contracts",
    "pacs_core.dataset",
    "pacs_core.dataset.json_model",
    "pacs_core.dataset.xml_model",
    "pacs_core.dimse",
    "pacs_core.plugins",
    "pacs_core.relational",
    "pacs_core.upper_layer",
}
FOLDERS = {
    "plugins": "plugins/*/src/**/*.py",
    "contrib": "contrib/*/**/*.py",
    "template": "cookiecutter/**/*.py",
    "distributions": "tests/distributions/*/src/**/*.py",
}
IMPORT = re.compile(
    r"^\s*from (pacs_core[\w.]*) import (\([^)]*\)|[^\n]*)|^\s*import (pacs_core[\w.]*)",
    re.MULTILINE,
)


def imports(text: str) -> list[tuple[str, str]]:
    """Return (module, name) of all imports, also of a template that is no Python yet."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        found = IMPORT.findall(text)
        return [(m or whole, n) for m, names, whole in found for n in re.findall(r"\w+", names)]
    from_imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    whole = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    return [
        *((node.module or "", alias.name) for node in from_imports for alias in node.names),
        *((alias.name, "") for node in whole for alias in node.names),
    ]


def is_public(module: str, name: str) -> bool:
    if module.startswith("pacs_core.testing"):
        return not name.startswith("_")
    return module in PUBLIC and name in import_module(module).__all__


@pytest.mark.parametrize("pattern", FOLDERS.values(), ids=FOLDERS)
def test_only_what_is_public_is_imported(pattern):
    paths = [path for path in ROOT.glob(pattern) if ".venv" not in path.parts]
    assert len(paths) > 3
    used = {
        (str(path.relative_to(ROOT)), module, name)
        for path in paths
        for module, name in imports(path.read_text(encoding="utf-8"))
        if module.split(".")[0] == "pacs_core"
    }
    assert used
    assert [each for each in sorted(used) if not is_public(*each[1:])] == []


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_what_is_public_is_documented(module):
    page = (ROOT / "docs" / "explanation" / "api-stability.md").read_text(encoding="utf-8")
    short = module.removeprefix("pacs_core")
    assert f"`{module}`" in page or f"`{short}`" in page or f"`.{module.split('.')[-1]}`" in page
    exported = import_module(module).__all__
    assert len(set(exported)) == len(exported)
    assert all(hasattr(import_module(module), name) for name in exported)


@pytest.mark.parametrize(
    "text",
    [
        "from pacs_core.cli.output import complain",
        "import pacs_core.archive",
        "from pacs_core.contracts.node import Node",
        "from pacs_core.dataset import _private",
        "{% if x %}\nfrom pacs_core.app import (\n    assemble,\n)\n{% endif %}",
    ],
)
def test_what_is_not_public_is_found(text):
    assert [each for each in imports(text) if not is_public(*each)]
