"""The code in the how-to pages is that of the template, and they are complete."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "how-to" / "plugins"
BLOCK = re.compile(r'^```python title="([^"]+)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
DOCUMENTS = [*PAGES.glob("*.md"), *(ROOT / "docs" / "tutorial").glob("*.md")]


def page_of(kind):
    """Return the page about a kind; one called index would be that of the folder, as a site."""
    return PAGES / f"{'instance-index' if kind == 'index' else kind}.md"


def test_every_kind_has_a_page(kinds):
    assert {*PAGES.glob("*.md")} == {*map(page_of, kinds), PAGES / "README.md"}


def test_every_page_says_how_to_begin(kinds):
    for kind in kinds:
        command = f"pacs plugins new acme-{kind} --kind {kind}"
        assert command in page_of(kind).read_text(encoding="utf-8")


def test_the_code_is_the_templates(render, kinds):
    for kind in kinds:
        project = render(kind, name=f"acme-{kind}")
        blocks = BLOCK.findall(page_of(kind).read_text(encoding="utf-8"))
        assert len(blocks) >= 3, kind
        for path, code in blocks:
            whole = "\n" + (project / path).read_text(encoding="utf-8")
            assert f"\n{code}" in whole, (kind, path)  # whole lines


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
