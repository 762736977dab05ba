"""The contract of audit sinks, in both forms: what is in the spool, while no collector is there."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lxml import etree
from pacs_audit_atna.config import AuditAtnaConfig
from pacs_audit_atna.sink import CollectorSink
from pacs_audit_atna.spool import Spool

from pacs_core.contracts import AuditEvent, AuditKind, AuditSink, NodeSettings, Origin, Outcome
from pacs_core.testing.audit_sink_contract import AuditSinkContract

OUTCOMES = {"0": Outcome.SUCCESS, "4": Outcome.WARNING, "8": Outcome.FAILURE}


def spooled(directory: Path) -> list[bytes]:
    spool = Spool(directory / "audit-atna" / "spool.sqlite", 1 << 30, fsync=False)
    spool.open()
    found = [message.body for message in spool.peek(100_000)]
    spool.close()
    return found


class TestSyslog(AuditSinkContract):
    def make_sink(self, directory: Path) -> AuditSink:
        config = AuditAtnaConfig(collector="tcp://127.0.0.1:1", fsync=False)
        return CollectorSink(config, NodeSettings(data_directory=directory))

    def read_back(self, directory: Path) -> Sequence[AuditEvent]:
        return [self.parse(body) for body in spooled(directory)]

    def parse(self, body: bytes) -> AuditEvent:
        root = etree.fromstring(body.split(b"\xef\xbb\xbf", 1)[1])
        identification = root.find("EventIdentification")
        [caller] = root.xpath("ActiveParticipant[@UserIsRequestor='true']")
        kind = root.find("ParticipantObjectIdentification/ParticipantObjectDetail[@type='kind']")
        return AuditEvent(
            AuditKind(base64.b64decode(kind.get("value")).decode()),
            OUTCOMES[identification.get("EventOutcomeIndicator")],
            Origin(
                "",
                calling_ae_title=caller.get("UserName", ""),
                host=caller.get("NetworkAccessPointID", ""),
            ),
            time=datetime.fromisoformat(identification.get("EventDateTime")),
        )


class TestFhir(TestSyslog):
    def make_sink(self, directory: Path) -> AuditSink:
        config = AuditAtnaConfig(collector="http://127.0.0.1:1", fsync=False)
        return CollectorSink(config, NodeSettings(data_directory=directory))

    def parse(self, body: bytes) -> AuditEvent:
        resource: dict[str, Any] = json.loads(body)
        [caller] = [agent for agent in resource["agent"] if agent["requestor"]]
        details = {each["type"]: each["valueString"] for each in resource["entity"][0]["detail"]}
        return AuditEvent(
            AuditKind(details["kind"]),
            OUTCOMES[resource["outcome"]],
            Origin(
                "",
                calling_ae_title=caller.get("name", ""),
                host=caller.get("network", {}).get("address", ""),
            ),
            time=datetime.fromisoformat(resource["recorded"]),
        )
