"""The library of Prometheus is imported by whoever scrapes, and missed before anybody does."""

import subprocess
import sys

import pytest
from pacs_metrics import pacs_check

from pacs_core.contracts import NodeSettings, Setup


def test_nothing_of_it_is_in_memory_before_a_scrape() -> None:
    code = (
        "import sys, pacs_metrics.sampling, pacs_metrics.counting, pacs_metrics.exposition;"
        "print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_node_that_lacks_it_says_so_before_a_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup(NodeSettings())
    assert pacs_check(setup) == []
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert pacs_check(setup) == ["needs prometheus_client: pip install prometheus-client"]
