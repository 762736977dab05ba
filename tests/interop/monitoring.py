"""A real Prometheus that scrapes a node."""

import subprocess
import time
from contextlib import contextmanager

import httpx
from attrs import frozen

from pacs_core.testing.peer_programs import find_free_port

PATIENCE = 60.0


@frozen
class Prometheus:
    """One that runs, by its URL."""

    url: str

    def ask(self, query):
        """Return the series that an expression has now, as pairs of labels and value."""
        data = self._get("query", query=query)
        return [(each["metric"], float(each["value"][1])) for each in data.get("result", ())]

    def value(self, query):
        """Return the value of the first of them, or None."""
        found = self.ask(query)
        return found[0][1] if found else None

    @property
    def firing(self):
        """Alerts that fire, by name, with their labels and annotations."""
        found = self._get("alerts").get("alerts", ())
        return {
            each["labels"]["alertname"]: each["labels"] | each["annotations"]
            for each in found
            if each["state"] == "firing"
        }

    def _get(self, what, **parameters):
        try:
            answer = httpx.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=5)
        except httpx.TransportError:
            return {}
        told = answer.json()
        assert told["status"] == "success" or answer.status_code == 503, told
        return told.get("data", {})


@contextmanager
def prometheus(target, folder, rules=""):
    """Run one that scrapes a host and port twice a second."""
    port = find_free_port()
    (folder / "rules.yml").write_text(rules or "groups: []")
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms, evaluation_interval: 500ms}\n"
        "rule_files: [rules.yml]\n"
        "scrape_configs:\n"
        f"  - {{job_name: pacs, static_configs: [{{targets: ['{target}']}}]}}\n"
    )
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stderr=subprocess.PIPE,
    )
    try:
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.communicate()


def wait_for(is_so, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)
