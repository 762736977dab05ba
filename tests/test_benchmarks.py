"""The benchmark suite runs, and what it prints is well-formed; no figure is judged."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from .benchmarks import gate
from .benchmarks.targets_table import Cell, Figures, Outcome, page, put_between_marks

ROOT = Path(__file__).parents[1]


@pytest.fixture
def benchmark(tmp_path: Path):
    def run(*arguments: str, contestant: str = "ours-none") -> list[dict]:
        output = tmp_path / "results"
        command = [sys.executable, "-m", "tests.benchmarks", *arguments, "--quick"]
        options = ["--contestants", contestant, "--places", "disk", "--disk", str(tmp_path)]
        result = subprocess.run(
            [*command, *options, "--scale", "0.001", "--output", str(output)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert (output / "results.svg").read_text().startswith("<svg")
        assert contestant in (output / "results.md").read_text()
        figures = json.loads((output / "results.json").read_text())
        # Names are chosen by their beginnings: the same over TLS is measured as well.
        return [figure for figure in figures if figure["contestant"] == contestant]

    return run


def test_stores_and_retrieves(benchmark):
    figures = benchmark("store", "retrieve", "--sizes", "small", "--associations", "2")
    assert [figure["case"] for figure in figures] == [
        "C-STORE small × 2",
        "C-GET 10 images",
        "C-MOVE 10 images",
    ]
    assert all(value > 0 for figure in figures for value in figure["values"])


@pytest.mark.long
@pytest.mark.peer("postgresql", "haproxy")
@pytest.mark.parametrize("contestant", ["ours-s3", "ours-s3-spool", "ours-3-nodes"])
def test_stores_with_servers_beside(benchmark, contestant):
    figures = benchmark("store", "--sizes", "small", "--associations", "2", contestant=contestant)
    assert [figure["case"] for figure in figures] == ["C-STORE small × 2"]
    assert all(value > 0 for figure in figures for value in figure["values"])


def test_works_on_files(benchmark):
    figures = benchmark("tools", contestant="ours-tools")
    assert [figure["case"] for figure in figures] == [
        "dump, 10 files",
        "modify, 10 files",
        "json, 10 files",
    ]
    assert all(value > 0 for figure in figures for value in figure["values"])


def test_converts(benchmark):
    figures = benchmark("codecs", "--syntaxes", "JPEG-LS", contestant="ours-convert")
    assert [(figure["case"], figure["metric"]) for figure in figures] == [
        ("encode JPEG-LS, 10 images", "native pixels, whole run"),
        ("encode JPEG-LS, 10 images", "files, native by encoded"),
        ("decode JPEG-LS, 10 images", "native pixels, whole run"),
    ]
    assert all(value > 0 for figure in figures for value in figure["values"])


def test_asks_by_dicomweb(benchmark):
    figures = benchmark("web", contestant="ours-web")
    assert {figure["case"] for figure in figures} == {"DICOMweb, 10 CT images"}
    assert all(value > 0 for figure in figures for value in figure["values"])


def test_a_failing_contestant_is_reported(tmp_path):
    command = [sys.executable, "-m", "tests.benchmarks", "store", "--quick"]
    options = ["--contestants", "ours-none", "--places", "disk", "--disk", str(tmp_path / "gone")]
    run = partial(subprocess.run, cwd=ROOT, capture_output=True, text=True, timeout=100)
    result = run([*command, *options])
    assert result.returncode != 0
    assert "gone" in result.stderr


@pytest.mark.peer("dcmtk")
def test_what_became_dearer_does_not_pass(tmp_path):
    recorded = tmp_path / "gate.json"
    recorded.write_text(json.dumps({"small × 1": 0.0001}))
    command = [sys.executable, "-m", "tests.benchmarks", "--gate", "--rounds", "1", "--count", "40"]
    result = subprocess.run(
        [*command, "--recorded", str(recorded)], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1, result.stderr
    assert [line.endswith("DEARER") for line in result.stdout.splitlines()[1:]] == [1, 0, 0]


@pytest.mark.parametrize(("ratio", "code"), [(1.0, 0), (1.25, 0), (1.4, 1)])
def test_a_ratio_is_held_against_the_recorded_one(tmp_path, monkeypatch, ratio, code):
    def judge(rounds, count, recorded):
        yield gate.Verdict("a", 100.0 * ratio, 100.0, ratio, recorded.get("a"))
        yield gate.Verdict("new", 1.0, 2.0, 0.5, recorded.get("new"))

    monkeypatch.setattr(gate, "judge", judge)
    recorded = tmp_path / "gate.json"
    recorded.write_text('{"a": 1.0}')
    assert gate.run(1, 1, recorded, record=False) == code
    assert gate.run(1, 1, recorded, record=True) == 0
    assert json.loads(recorded.read_text()) == {"a": ratio, "new": 0.5}
    assert gate.run(1, 1, recorded, record=False) == 0


@pytest.mark.parametrize("contestant", ["ours-none-tls", "dcmtk-storescp-tls"])
@pytest.mark.peer("dcmtk")
def test_stores_over_tls(benchmark, contestant):
    sizes = ("--sizes", "small", "--associations", "2")
    (figure,) = benchmark("store", *sizes, contestant=contestant)
    assert figure["contestant"] == contestant
    assert all(value > 0 for value in figure["values"])


def test_what_is_aimed_at_is_measured_and_written(tmp_path):
    page_file, figures = tmp_path / "page.md", tmp_path / "figures.json"
    page_file.write_text("# Page\n<!-- targets: begin -->\nold\n<!-- targets: end -->\nrest\n")
    command = [sys.executable, "-m", "tests.benchmarks.targets", "--rounds", "1", "--warm", "0"]
    options = ["--only", "start-up disk ours-commit", "--write", page_file, "--output", figures]
    run = partial(subprocess.run, cwd=ROOT, capture_output=True, text=True, timeout=100)
    result = run([*command, *options])
    assert result.returncode == 0, result.stderr
    text = page_file.read_text()
    assert "| start-up | disk | ours-commit" in text
    assert "old" not in text
    assert text.startswith("# Page\n")
    assert text.endswith("-->\nrest\n")
    assert list(json.loads(figures.read_text())) == ["start-up disk ours-commit"]


RATE = Cell("c", "disk", "ours", "theirs", 2.0)


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (Outcome(200, 400, 0.5, 0.5), "| met |"),
        (Outcome(150, 9000, 0.95, 0.99), "not met: its processor time, 9000"),
        (Outcome(150, 400, 0.5, 0.99), "not met: the cores"),
        (Outcome(150, 400, 0.3, 0.4), "not met: waiting for syncs or senders"),
    ],
)
def test_each_cell_says_whether_it_is_met_and_what_bounds_it(ours, said):
    outcomes = {("c", "disk", "ours"): [ours] * 3, ("c", "disk", "theirs"): [Outcome(100)] * 3}
    (row,) = [line for line in page([RATE], outcomes, {}).splitlines() if "| disk |" in line]
    assert said in row
    assert "≥ 2" in row


def test_less_is_better_where_it_is_aimed_at_at_most():
    cell = Cell("c", "disk", "all", "alone", 1.15, Figures.PROCESSOR)
    outcomes = {
        ("c", "disk", "all"): [Outcome(1, 1200), Outcome(1, 1100)],
        ("c", "disk", "alone"): [Outcome(1, 1000), Outcome(1, 1000)],
    }
    assert "| met |" in page([cell], outcomes, {})
    outcomes["c", "disk", "all"] = [Outcome(1, 1300)]
    assert "not met: 1.30" in page([cell], outcomes, {})


def test_what_was_not_measured_is_said(tmp_path):
    assert "Not measured: orthanc: it died" in page([RATE], {}, {"orthanc": "it died"})
    (tmp_path / "page.md").write_text("no marks")
    with pytest.raises(ValueError, match="does not have the marks"):
        put_between_marks(tmp_path / "page.md", "")
