"""Packages whose names are imported when they are asked for."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import pacs_core

KERNEL = Path(pacs_core.__file__).parent
PACKAGES = [
    path.parent.name
    for path in sorted(KERNEL.glob("*/__init__.py"))
    if "import_on_demand(" in path.read_text(encoding="utf-8")
]


def read_imports(package):
    """Return names and modules of what a package imports for type checkers."""
    tree = ast.parse((KERNEL / package / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        (alias.name, node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_there_are_some():
    assert {"contracts", "dataset", "association"} <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_and_programs_see_the_same_names_of_the_same_modules(package):
    module = import_module(f"pacs_core.{package}")
    imported = read_imports(package)
    assert sorted(module.__all__) == sorted(name for name, _ in imported)
    for name, home in imported:
        assert getattr(module, name) is getattr(import_module(home), name)
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_that_of_a_module_which_would_take_its_place(package):
    modules = {path.stem for path in (KERNEL / package).iterdir()}
    assert not modules & {name for name, _ in read_imports(package)}


def test_nothing_else_is_there():
    with pytest.raises(AttributeError, match=r"'pacs_core.dataset' has no attribute 'nothing'"):
        pacs_core.dataset.nothing  # noqa: B018 asking is what fails
    with pytest.raises(ImportError, match="nothing"):
        from pacs_core.contracts import nothing  # noqa: F401


def test_what_is_asked_for_is_imported_and_nothing_else():
    program = "from pacs_core.dataset import is_part10; import sys; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "pacs_core.dataset.reader" in modules
    assert "pacs_core.dataset.encoder" not in modules


def test_a_package_elsewhere_can_do_the_same(tmp_path, monkeypatch):
    package = tmp_path / "late_names"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pacs_core.on_demand import import_on_demand\n"
        "import_on_demand(__name__, '.numbers ONE TWO\\nos.path join')\n"
    )
    (package / "numbers.py").write_text("ONE = 1\nTWO = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    late = import_module("late_names")
    assert "late_names.numbers" not in sys.modules
    assert (late.ONE, late.TWO, late.join("a", "b")) == (1, 2, "a/b")
    assert "ONE" in vars(late)  # the second time nothing is looked up
