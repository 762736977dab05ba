"""What a node with all plugins imports before it is ready: nothing that only some requests need."""

from pathlib import Path

import pytest

from tests.cli.conftest import serving

pytestmark = pytest.mark.true_start

NOT_YET = {
    "alembic", "argon2", "click", "h11", "httpx", "imagecodecs", "jinja2", "joserfc", "numpy",
    "opentelemetry", "PIL", "pydicom", "reportlab", "rich", "scipy", "uvicorn", "wsproto",
}  # fmt: skip
PLUGIN = """
import sys
from pathlib import Path

from pacs_core.contracts import Service, ServiceDescriptor
from pacs_core.plugins import hookimpl


class Last(Service):
    async def run(self, started):
        Path({path!r}).write_text(" ".join(sys.modules))
        started()


@hookimpl
def pacs_services(setup):
    # Services start in the order of plugins, those that listen last.
    return [ServiceDescriptor("last", lambda node: Last())]
"""


def test_nothing_heavy_is_imported_before_the_node_is_ready(tmp_path: Path) -> None:
    plugin, modules, config = (tmp_path / name for name in ("zzz.py", "modules", "pacs.toml"))
    plugin.write_text(PLUGIN.format(path=str(modules)))
    config.write_text("[plugin.web]\nport = 0\n")
    arguments = ("--config", str(config), "--data", str(tmp_path / "data"))
    with serving(*arguments, "--plugin", str(plugin)):
        imported = set(modules.read_text().split())
    assert {"pacs_web", "pacs_web_ui", "sqlalchemy"} <= imported, "it has all plugins"
    assert not NOT_YET & imported
