"""``pacs audit spool``, and nodes that are killed while the collector is away, or comes back."""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio import to_thread
from attrs import define
from pacs_audit_atna.spool import Spool
from pacs_audit_atna.summary import summarize
from pynetdicom import AE

from pacs_core.api.commands import main
from pacs_core.contracts import AuditEvent, AuditKind, Origin, Outcome
from pacs_core.testing.node import NodeProcess, node_process, write_config
from pacs_core.testing.peer_programs import find_free_port

from .test_delivery import Collector, FhirServer, numbers, running, wait_for

pytestmark = pytest.mark.anyio

VERIFICATION = "1.2.840.10008.1.1"
WHY = "the collector was replaced, and its archive is complete"
PLUGINS = ("audit-atna", "audit-json", "sop-verification")


def event(number: int) -> AuditEvent:
    return AuditEvent(AuditKind.C_STORE, Outcome.SUCCESS, Origin("DIMSE", f"N{number}"))


@define
class Spooled:
    """A spool with events, and what `pacs audit spool` says of it."""

    data: Path
    config: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        code = main(["audit", "spool", *arguments, "--config", str(self.config)])
        return (code, *self.capsys.readouterr())

    def state(self, *arguments: str) -> dict[str, Any]:
        return json.loads(self.run("list", "--json", *arguments)[1])


def make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], collector: str, count: int, **fields: Any
) -> Spooled:
    """Spool events that no collector takes."""
    tables = {"plugin": {"audit-atna": {"collector": collector, "fsync": False, **fields}}}
    config = write_config(tmp_path, tables)

    async def write() -> None:
        nobody = "http" if collector.startswith("http") else "tcp"
        async with running(tmp_path, collector=f"{nobody}://127.0.0.1:1", fsync=False) as sink:
            await sink.write([event(number) for number in range(count)])
            await to_thread.run_sync(wait_for, lambda: sink._spool.state().failures)

    anyio.run(write)
    return Spooled(tmp_path, config, capsys)


def test_what_waits_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool = make(tmp_path, capsys, "tcp://127.0.0.1:1", 3)
    code, out, _ = spool.run("list", "--limit", "2")
    assert code == 1, "somebody should look after it"
    lines = out.splitlines()
    assert re.match(r"waiting: 3 \(\d+ bytes, 0 % of what may\), the oldest of 20\d\d-", lines[0])
    assert re.match(r"ALERT: the collector tcp://127.0.0.1:1 takes nothing since 20", lines[1])
    assert [re.sub(r" 20\S+ ", " TIME ", line) for line in lines[2:]] == [
        "1 TIME DICOM Instances Transferred c-store",
        "2 TIME DICOM Instances Transferred c-store",
    ]
    assert spool.state("--limit", "0")["waiting"] == 3


def test_without_a_spool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool = Spooled(tmp_path, write_config(tmp_path, {}), capsys)
    for arguments in (["list"], ["drop", "--reason", WHY]):
        code, _, err = spool.run(*arguments)
        assert (code, "is made when the node starts" in err) == (1, True)
    code, _, err = spool.run("flush")
    assert "there is no collector" in err


def test_flushing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command itself, where no node runs; in order."""
    port = find_free_port()
    spool = make(tmp_path, capsys, f"tcp://127.0.0.1:{port}", 5)
    code, _, err = spool.run("flush")
    assert (code, "5 of 5 wait on: " in err) == (1, True), err
    collector = Collector(port=port)
    assert spool.run("flush")[:2] == (0, "delivered: 5\n")
    assert numbers(collector.messages[:5]) == list(range(5))
    collector.close()
    assert spool.state()["alerts"] == []
    assert spool.run("list")[:2] == (0, "waiting: 0 (0 bytes, 0 % of what may)\n")
    assert spool.run("flush")[:2] == (0, "nothing waits\n")


async def test_a_node_that_waits_is_asked(tmp_path: Path) -> None:
    """It would not ask the collector again for a while."""
    port = find_free_port()
    async with running(tmp_path, collector=f"tcp://127.0.0.1:{port}", fsync=False) as sink:
        await sink.write([event(1)])
        await to_thread.run_sync(wait_for, lambda: sink._spool.state().failures >= 2)
        collector = Collector(port=port)
        sink._spool.ask_to_flush()
        await to_thread.run_sync(wait_for, lambda: len(collector.messages) == 1)
        collector.close()


def test_dropping(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is recorded first, in each trail, and the collector hears of it."""
    port = find_free_port()
    spool = make(tmp_path, capsys, f"tcp://127.0.0.1:{port}", 5)
    for reason in ("", "because", "x" * 501, "line\x1b[2Jfeed and so on"):
        assert spool.run("drop", "--reason", reason)[0] == 2
    assert spool.run("drop")[0] == 2
    assert spool.state()["waiting"] == 5
    assert spool.run("drop", "--count", "2", "--reason", WHY)[:2] == (0, "dropped: 2\n")
    state = spool.state()
    assert [each["kind"] for each in state["events"]] == ["c-store"] * 3 + ["audit-atna.discarded"]
    [record] = [
        json.loads(line)
        for line in (tmp_path / "audit" / "audit.jsonl").read_text().splitlines()
        if "audit-atna.discarded" in line
    ]
    assert record["details"]["reason"] == WHY
    assert record["details"]["dropped"] == 2
    collector = Collector(port=port)
    assert spool.run("flush")[0] == 0
    collector.close()
    assert numbers(collector.messages[:3]) == [2, 3, 4]
    assert b"110133" in collector.messages[3]


def test_a_full_spool_can_be_emptied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though what is recorded of that needs room itself, and the sink is required."""
    limit = 1024**2
    spool = make(tmp_path, capsys, "tcp://127.0.0.1:1", 1, required=True, spool_bytes=limit)
    kept = Spool(tmp_path / "audit-atna" / "spool.sqlite", limit, fsync=False)
    kept.open()
    kept.add([b"x" * (limit - kept.state().bytes)], drop=False)
    kept.close()
    assert any("nearly full" in alert for alert in spool.state()["alerts"])
    assert spool.run("drop", "--reason", WHY)[:2] == (0, "dropped: 2\n")
    state = spool.state()
    assert state["waiting"] == 1
    assert 0 < state["bytes"] < 10_000


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FhirServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.answers = [201, 422, 201]
        address = f"http://127.0.0.1:{server.server_port}"
        spool = make(tmp_path, capsys, address, 3)
        assert spool.run("flush")[:2] == (0, "delivered: 2, refused: 1\n")
        server.shutdown()
    code, out, _ = spool.run("list", "--refused")
    assert code == 1
    assert "ALERT: events that the collector refuses for good: 1;" in out
    assert re.search(r"^1 20\S+ DICOM Instances Transferred c-store: 422: $", out, re.MULTILINE)
    assert spool.run("drop", "--refused", "--reason", WHY)[:2] == (0, "dropped: 1\n")
    assert spool.state()["refused"] == 0


def test_what_was_dropped_while_it_was_sent(tmp_path: Path) -> None:
    """The room that it took is given back once."""
    spool = Spool(tmp_path / "spool.sqlite", 1000, fsync=False)
    spool.open()
    spool.add([b"a" * 100, b"b" * 100, b"c" * 100], drop=False)
    batch = spool.peek(2)
    spool.remove(batch[:1])
    spool.remove(batch)
    spool.set_aside(batch[1], "late")
    assert (spool.state().bytes, spool.state().waiting, spool.state().refused) == (100, 1, 0)
    spool.close()


def test_a_message_that_says_nothing() -> None:
    assert summarize(b"<x/>") == ("?", "?", "?")
    assert summarize(b"{}") == ("?", "?", "?")


# --- killed


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(found)
    return found


def associate(node: NodeProcess, numbers: range) -> Iterator[str]:
    """Associate under names in a row; yield each that the node has accepted."""
    for number in numbers:
        ae = AE(f"N{number}")
        ae.add_requested_context(VERIFICATION)
        association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
        assert association.is_established
        assert association.send_c_echo().Status == 0
        association.release()
        yield ae.ae_title


def callers(messages: list[bytes]) -> list[str]:
    """Return who has asked for C-ECHO, in order; what was sent again stands there again."""
    found = []
    for message in messages:
        if summarize(message).kind == "c-echo":
            [name] = re.findall(rb'UserID="(N\d+)"', message)
            found.append(name.decode())
    return found


def test_a_killed_node_loses_nothing(
    tmp_path: Path, authority: trustme.CA, context: ssl.SSLContext
) -> None:
    """While the collector is away, and again as it comes back (RFC 5425)."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    port = find_free_port()
    tables = {
        "plugin": {
            "audit-atna": {
                "collector": f"tls://localhost:{port}",
                "required": True,
                "tls": {"ca": str(tmp_path / "ca.pem")},
            }
        }
    }
    data = tmp_path / "data"
    acknowledged: list[str] = []
    with node_process(data, tables, plugins=PLUGINS) as node:
        acknowledged += associate(node, range(5))
        node.process.kill()
    received: list[bytes] = []
    with node_process(data, tables, plugins=PLUGINS) as node:
        acknowledged += associate(node, range(5, 8))
        collector = Collector(context, port)
        wait_for(lambda: bool(collector.messages))
        node.process.kill()  # it has sent, and could not note it
        collector.close()
        received += collector.messages
    with node_process(data, tables, plugins=PLUGINS) as node:
        acknowledged += associate(node, range(8, 10))
        again = Collector(context, port)
        wait_for(lambda: acknowledged[-1] in callers(again.messages))
        node.process.kill()
        again.close()
        received += again.messages
    found = callers(received)
    assert list(dict.fromkeys(found)) == acknowledged, "all, in order"
    last = callers(again.messages)
    assert last == acknowledged[-len(last) :], "what is sent again is in order too"
