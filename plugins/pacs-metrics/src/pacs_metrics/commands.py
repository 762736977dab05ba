"""``pacs metrics``: prints what ships with this plugin for Prometheus and Grafana."""

from importlib.resources import files


def alerts() -> None:
    """Print alert rules for Prometheus."""
    print((files("pacs_metrics") / "files" / "alerts.yml").read_text(encoding="utf-8"), end="")


def dashboard() -> None:
    """Print a dashboard for Grafana."""
    print((files("pacs_metrics") / "files" / "dashboard.json").read_text(encoding="utf-8"), end="")
