"""All that the answer key of the evaluation asks for is done, by the command and on the way out."""

import json
from collections.abc import Callable
from pathlib import Path

from .evaluation_set import Scorer, make_cases
from .test_files import run, save

__all__ = ["run"]

PAGE = Path(__file__).parents[3] / "docs/explanation/deidentification-evaluated.md"
CONFIG = """
[plugin.deidentify]
profile = "research"
[plugin.deidentify.profiles.research]
options = [
    "clean-pixel-data", "clean-descriptors", "clean-structured-content", "clean-graphics",
    "retain-modified-dates", "retain-patient-characteristics", "retain-safe-private",
]
[[plugin.deidentify.devices]]
modality = "US"
manufacturer = "ACME"
regions = [[0, 0, 48, 8]]
"""


def test_answers(run: Callable, tmp_path: Path) -> None:
    cases = {}
    for number, case in enumerate(make_cases()):
        path = Path("in") / f"{number}"
        save(tmp_path / path, case.dataset)
        cases[str(path)] = case
    (tmp_path / "pacs.toml").write_text(CONFIG)
    result = run("in", "out", "--config", "pacs.toml", "--report", "r", "--json", "--jobs", 1)
    assert (result.code, result.err) == (0, "")
    scorer = Scorer()
    for line in map(json.loads, result.out.splitlines()):
        scorer.add(cases.pop(line["source"]), tmp_path / "out" / line["target"])
    assert cases == {}
    assert scorer.score.wrong == []
    for category, required in scorer.score.required.items():
        assert f"| {category} | {required} | {required} |" in PAGE.read_text(encoding="utf-8")


def test_the_key_finds_everything_where_nothing_was_done(tmp_path: Path) -> None:
    """What was planted counts as left, and what was to be made as missing."""
    cases = list(make_cases())[:4]
    scorer = Scorer()
    for number, case in enumerate(cases):
        scorer.add(case, save(tmp_path / f"{number}", case.dataset))
    wrong = [line for line in scorer.score.wrong if not line.startswith("marks")]
    kept = {"text_retained", "text_notnull", "tag_retained", "patid_consistent", "pixels_retained"}
    expected = [row for case in cases for row in case.answers if row.action not in kept]
    assert len(wrong) == len(expected)
