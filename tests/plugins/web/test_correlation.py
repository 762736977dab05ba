"""One ID in the log and the audit trail for all that follows from a request or an association.

The node logs JSON into a file, which these tests set aside, and set levels of, while it runs.
"""

import json
import signal
from contextlib import redirect_stdout
from io import StringIO

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.cli.main import main

from .conftest import run_web, wait_for

PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"


@pytest.fixture(scope="module")
def logging_web(bulletin, tmp_path_factory):
    """A node with two workers that write one log."""
    folder = tmp_path_factory.mktemp("logging")
    log = {"level": "info", "format": "json", "file": str(folder / "logs" / "pacs.log")}
    with run_web(folder, node={"workers": 2}, log=log) as running:
        yield running


@pytest.fixture
def entries(logging_web):
    """Read the entries of the log that are there by now, from all of its files."""

    def read(**wanted):
        found = []
        for path in (logging_web.node.log.parent / "logs").iterdir():
            found += [json.loads(line) for line in path.read_text().splitlines()]
        return [each for each in found if wanted.items() <= each.items()]

    return read


def pacs(web, *arguments):
    output = StringIO()
    with redirect_stdout(output):
        assert main([*arguments, "--config", str(web.node.log.parent / "pacs.toml")]) == 0
    return output.getvalue()


def echo(web):
    async def associate():
        async with connect(web.node.peer, [Proposal("1.2.840.10008.1.1")]) as association:
            await association.c_echo()

    anyio.run(associate)


def test_a_request_keeps_its_id_and_its_trace(logging_web, entries):
    headers = {"X-Request-ID": "proxy/4711", "traceparent": PARENT}
    answer = logging_web.get("/bulletin/", headers=headers)
    assert answer.headers["x-request-id"] == "proxy/4711"
    entry = wait_for(lambda: entries(correlation="proxy/4711"), "the entry")[0]
    assert entry["logger"] == "pacs_web.access"
    assert entry["trace_id"] == "ab" * 16
    assert entry["fields"]["status"] == 200
    assert entry["fields"]["target"] == "/bulletin/"


def test_a_request_without_an_id_gets_one_that_no_other_has(logging_web, entries):
    answers = [logging_web.get("/nowhere") for _ in range(3)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    for each in ids:
        wait_for(lambda each=each: entries(correlation=each), each)


@pytest.mark.parametrize(
    "given",
    [
        b"X-Request-ID: evil\r\n {}\r\n",
        b"X-Request-ID: evil\n{}\r\n",
        b'X-Request-ID: evil","x":"\r\n',
        b"X-Request-ID: evil\x1b[2J\r\n",
        b"X-Request-ID: ev il\r\n",
        b"X-Request-ID: " + b"evil" * 33 + b"\r\n",
        b"X-Request-ID: " + b"evil" * 250_000 + b"\r\n",
        b"X-Request-ID: evil1\r\nX-Request-ID: evil2\r\n",
    ],
    ids=("folded", "lf", "quotes", "escape", "space", "129", "1 MB", "two"),
)
def test_an_id_that_is_not_sane_never_reaches_the_log(logging_web, entries, given):
    head = b"GET /bulletin/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    logging_web.exchange(head + given + b"\r\n")
    assert logging_web.get("/bulletin/", headers={"X-Request-ID": "after"}).status_code == 200
    wait_for(lambda: entries(correlation="after"), "the entry after it")
    assert not [each for each in entries() if "evil" in json.dumps(each)]


@pytest.mark.parametrize(
    "parent",
    [
        f"ff-{'ab' * 16}-{'cd' * 8}-01",
        f"00-{'00' * 16}-{'cd' * 8}-01",
        f"00-{'ab' * 16}-{'00' * 8}-01",
        f"00-{'AB' * 16}-{'cd' * 8}-01",
        f"00-{'ab' * 16}-{'cd' * 8}-01-more",
        "hello",
    ],
)
def test_a_malformed_trace_parent_is_ignored(logging_web, entries, parent):
    """W3C Trace Context §3.2.2: version, trace-id, parent-id, trace-flags."""
    answer = logging_web.get("/bulletin/", headers={"traceparent": parent})
    found = answer.headers["x-request-id"]
    assert "trace_id" not in wait_for(lambda: entries(correlation=found), "the entry")[0]


def test_an_association_has_one_id_in_log_and_audit_trail(logging_web, entries):
    echo(logging_web)

    def released():
        return [each for each in entries() if "released by the peer" in each["message"]]

    correlation = wait_for(released, "the end")[-1]["correlation"]
    messages = [each["message"] for each in entries(correlation=correlation)]
    assert "accepted" in messages[0]
    trail = logging_web.node.data_directory / "audit" / "audit.jsonl"

    def audited():
        events = map(json.loads, trail.read_text().splitlines())
        return [each["event"] for each in events if each.get("correlation") == correlation]

    wanted = ["association-accepted", "c-echo", "association-released"]
    wait_for(lambda: audited() == wanted, "the audit trail")


def test_levels_change_in_all_workers_until_the_configuration_is_read_again(logging_web, entries):
    shown = pacs(logging_web, "log-level", "debug", "--logger", "pacs_core.association")
    assert "pacs_core.association  debug" in shown

    def details():
        return len([e for e in entries(level="debug") if "answered" in e["message"]])

    for number in range(1, 5):
        echo(logging_web)
        wait_for(lambda number=number: details() == number, "details of both workers")
    logging_web.node.process.send_signal(signal.SIGHUP)
    wait_for(lambda: [e for e in entries() if "was read again" in e["message"]], "the reload")
    assert "debug" not in pacs(logging_web, "log-level")


def test_a_log_that_is_renamed_is_begun_anew(logging_web, entries):
    path = logging_web.node.log.parent / "logs" / "pacs.log"
    before = len(entries())
    path.rename(path.with_name("pacs.log.1"))
    logging_web.get("/bulletin/", headers={"X-Request-ID": "renamed"})
    wait_for(lambda: path.exists() and "renamed" in path.read_text(), "the new file")
    assert len(entries()) > before


def test_a_full_disk_and_nobody_who_reads_cost_nothing_but_the_log(bulletin, tmp_path):
    log = {"level": "debug", "file": "/dev/full"}
    with run_web(tmp_path, log=log) as web:
        assert "No space left" in web.log
        echo(web)
        assert web.get("/bulletin/").status_code == 200
