"""The conformance statement says what the routes do."""

import json
import re

from pacs_dicomweb.config import DicomWebConfig
from pacs_dicomweb.conformance import web_services
from pacs_dicomweb.routes import methods_by_path

from pacs_core.cli.main import main
from pacs_core.testing.node import write_config


def statement(tmp_path, form, **config):
    tables = {"plugin": {"dicomweb": config, "web": {}}}
    path = write_config(tmp_path / "data", tables)
    output = tmp_path / f"statement.{form}"
    arguments = ["conformance", "--format", form, "--output", output, "--config", path]
    assert main([*map(str, arguments)]) == 0
    return output.read_text()


def test_every_route_is_in_it():
    for config in (DicomWebConfig(), DicomWebConfig(delete=True)):
        stated = {
            tuple(each.split(" ", 1))
            for transaction in web_services(config).transactions
            for each in transaction.resources
        }
        methods, _ = methods_by_path(config)
        routes = {(method, path) for path, own in methods.items() for method in own}
        assert stated == routes | {("OPTIONS", "/")}


def test_document(tmp_path):
    text = statement(tmp_path, "md", root="/dcm")
    section = re.search(r"^### 3\.4 Web Services$(.*?)^## 4", text, re.MULTILINE | re.DOTALL)
    assert section
    for part in (
        "The root is /dcm.",
        "Search (QIDO-RS)",
        "PS3.18 §10.5",
        "NumberOfFrames",
        "| 406 |",
    ):
        assert part in section[1].replace("\\", "")
    assert "DELETE" not in section[1]


def test_facts(tmp_path):
    found = json.loads(statement(tmp_path, "json", delete=True))
    [service] = found["web_services"]
    assert service["root"] == "/dicom-web"
    assert "Delete" in [each["name"] for each in service["transactions"]]
