"""The contract, with one file, with many, and with fsync."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pacs_audit_json import AuditJsonConfig
from pacs_audit_json.sink import create

from pacs_core.contracts import AuditEvent, AuditKind, AuditSink, Origin, Outcome
from pacs_core.testing.audit_sink_contract import AuditSinkContract


def parse(line: str) -> AuditEvent:
    record = json.loads(line)
    origin = Origin("", calling_ae_title=record["calling_ae_title"], host=record["host"])
    time = datetime.fromisoformat(record["time"])
    return AuditEvent(AuditKind(record["event"]), Outcome(record["outcome"]), origin, {}, time)


class TestOneFile(AuditSinkContract):
    config = AuditJsonConfig()

    def make_sink(self, directory: Path) -> AuditSink:
        return create(self.config, directory)

    def read_back(self, directory: Path) -> Sequence[AuditEvent]:
        path = directory / "audit" / "audit.jsonl"
        older = len(list(path.parent.glob("audit.jsonl.[1-9]*")))
        files = [path.with_name(f"{path.name}.{number + 1}") for number in range(older)]
        return [parse(line) for file in [*files, path] for line in file.read_text().splitlines()]


class TestManyFiles(TestOneFile):
    config = AuditJsonConfig(max_bytes=5_000)


class TestDurable(TestOneFile):
    config = AuditJsonConfig(max_bytes=100_000, fsync=True)
