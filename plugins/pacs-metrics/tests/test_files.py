"""Alert rules and dashboard: checked by Prometheus' own tool, and about metrics that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = HERE.parent / "src" / "pacs_metrics" / "files"
SOURCES = "".join(p.read_text() for p in (HERE.parent / "src" / "pacs_metrics").glob("*.py"))
OF_OTHERS = {"web_requests", "routing_given_up"}
"""Of plugins that have metrics of their own."""
NAME = re.compile(r"\bpacs_([a-z_]+)")


def expressions():
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]) > 10
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [*shown, (FILES / "alerts.yml").read_text()]


def test_they_ask_for_metrics_that_there_are():
    for expression in expressions():
        for name in NAME.findall(expression):
            base = re.sub("_(total|bucket|sum|count)$", "", name)
            assert f'"metrics_{base}"' in SOURCES or base in OF_OTHERS, name


def test_each_alert_is_made_to_fire():
    alerts = set(re.findall(r"- alert: (\w+)", (FILES / "alerts.yml").read_text()))
    tested = (HERE / "alerts_test.yml").read_text()
    fired = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tested))
    assert fired == alerts


@pytest.mark.peer("prometheus")
def test_alerts_fire_when_they_should(tmp_path):
    for file in (FILES / "alerts.yml", HERE / "alerts_test.yml"):
        shutil.copy(file, tmp_path)
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        told = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True)
        assert told.returncode == 0, told.stdout + told.stderr
