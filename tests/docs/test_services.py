"""The page of all services: nothing that is there is missing, and what drives it exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "what-this-archive-does.md"


def test_each_distribution_is_named_with_tests_that_exist():
    text = PAGE.read_text(encoding="utf-8")
    distributions = {
        path.parent.relative_to(ROOT).as_posix()
        for pattern in ("plugins/*/pyproject.toml", "contrib/*/pyproject.toml")
        for path in ROOT.glob(pattern)
    }
    linked = re.findall(r"\]\(\.\./\.\./([^)]+)\)", text)
    assert distributions - {path.removesuffix("/README.md") for path in linked} == set()
    assert [path for path in linked if not (ROOT / path).exists()] == []
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert rows
    assert [row for row in rows if "tests" not in row.rsplit("|", 2)[1]] == []
