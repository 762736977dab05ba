"""The generated reference is what the code says, and links of the documentation lead somewhere."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def _generator():
    sys.path.append(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


@pytest.mark.parametrize("path", GENERATOR.PAGES)
def test_is_up_to_date(path):
    page = (ROOT / "docs" / path).read_text(encoding="utf-8")
    assert page == GENERATOR.PAGES[path](), "run `uv run python docs/generate.py`"


def test_all_of_the_reference_is_generated():
    written = {f"reference/{page.name}" for page in (ROOT / "docs" / "reference").iterdir()}
    assert written <= GENERATOR.PAGES.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing
