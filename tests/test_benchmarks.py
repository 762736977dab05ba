"""The benchmark suite runs, and what it prints is well-formed; no figure is judged."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from .benchmarks import gate, runner
from .benchmarks.scaling_model import Law, fit
from .benchmarks.shares import Controller, NoSharesError
from .benchmarks.start_lines import LINES
from .benchmarks.targets_table import Cell, Figures, Outcome, page, put_between_marks
from .benchmarks.tools import TASKS, TOOLBOXES
from .benchmarks.workloads import starts

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
            timeout=200,
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
    assert {figure["case"] for figure in figures} == {f"{task}, 10 files" for task in TASKS}
    assert all(value > 0 for figure in figures for value in figure["values"])


def test_begins(tmp_path):
    options, (ours, *_) = runner.Options(()), TOOLBOXES
    found = {case.name: case for case in starts.cases(options) if case.suits(ours)}
    assert found.keys() == {f"pacs {name}" for name in LINES}
    case = found["pacs dump"]
    with case.session(ours, tmp_path / "case" / "run") as measure:
        values = measure()
    assert len(values) == len(case.metrics)
    assert all(value > 0 for value in values)


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


def test_workers_are_measured_with_a_share_of_a_core_each(tmp_path):
    page_file, figures = tmp_path / "page.md", tmp_path / "figures.json"
    page_file.write_text("# Page\n<!-- scaling: begin -->\nold\n<!-- scaling: end -->\nrest\n")
    command = [sys.executable, "-m", "tests.benchmarks.scaling", "--quick", "--rounds", "1"]
    options = ["--only", "15 KB, `none`", "--write", page_file, "--output", figures]
    process = subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    _, errors = process.communicate(timeout=100)
    if process.returncode == 2:
        assert "scaling cannot be measured here" in errors
        pytest.skip(errors)
    assert process.returncode == 0, errors
    text = page_file.read_text()
    assert "| 15 KB, `none`, tmpfs | " in text
    assert "| 1, `commit` | " in text
    assert "old" not in text
    ((name, samples),) = json.loads(figures.read_text()).items()
    assert name == "15 KB, `none`, tmpfs"
    assert list(samples) == ["1", "2"]
    assert all(sample["rate"] > 0 for of in samples.values() for sample in of)
    # A tick of the system's clock too much is had in so short a run, but not a core.
    assert all(sample["used"] < 3 for of in samples.values() for sample in of)
    assert not list(Path("/sys/fs/cgroup").glob(f"**/pacs-scaling-{process.pid}"))


def test_groups_are_told_their_share_in_either_form(tmp_path):
    first = Controller(tmp_path, 1).make(tmp_path, "a", 0.15, 10_000)
    assert {file.name: file.read_text() for file in first.iterdir()} == {
        "cpu.shares": "262144",
        "cpu.cfs_period_us": "10000",
        "cpu.cfs_quota_us": "1500",
    }
    second = Controller(tmp_path, 2).make(tmp_path, "b", 0.15, 10_000)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
    assert {file.name: file.read_text() for file in second.iterdir()} == {
        "cpu.weight": "10000",
        "cpu.max": "1500 10000",
    }
    with pytest.raises(NoSharesError, match="no group can be made"):
        Controller(tmp_path, 1).make(tmp_path, "a", 0.15)


@given(serial=st.floats(0, 0.5), mutual=st.floats(0, 0.05))
def test_the_law_of_what_follows_it_is_found(serial, mutual):
    law = Law(serial, mutual)
    found = fit({workers: law.factor(workers) for workers in (1, 2, 4, 8)})
    assert found.serial == pytest.approx(serial, abs=1e-6)
    assert found.mutual == pytest.approx(mutual, abs=1e-6)


@given(st.dictionaries(st.sampled_from([1, 2, 3, 4, 8]), st.floats(0.5, 12)))
def test_no_law_makes_more_of_workers_than_they_are(factors):
    law = fit(factors)
    assert law.serial >= 0
    assert law.mutual >= 0
    assert 0 < law.factor(16) <= 16
