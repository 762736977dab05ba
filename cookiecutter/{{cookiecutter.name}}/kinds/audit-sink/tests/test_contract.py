"""The contract of audit sinks."""

from collections.abc import Sequence
from pathlib import Path

from pacs_core.contracts import AuditEvent, AuditSink
from pacs_core.testing.audit_sink_contract import AuditSinkContract

from {{ cookiecutter.__package }} import FileSink
from {{ cookiecutter.__package }}.lines import parse


class TestFileSink(AuditSinkContract):
    def make_sink(self, directory: Path) -> AuditSink:
        return FileSink(directory / "audit.jsonl")

    def read_back(self, directory: Path) -> Sequence[AuditEvent]:
        lines = (directory / "audit.jsonl").read_text(encoding="ascii").splitlines()
        return [parse(each) for each in lines]
