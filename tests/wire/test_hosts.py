"""What one host may take of a node, so that a flood leaves room for others (PS3.8 Table 9-21)."""

import re
import socket
import time
from contextlib import ExitStack

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import AssociationRefusedError, Proposal
from pacs_core.association.hosts import host_of
from pacs_core.contracts import Timeouts
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, encode_attributes, tag_of
from pacs_core.testing.waiting import until
from pacs_core.upper_layer import AssociateRQ, ProposedContext, encode

MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ECHO = [Proposal("1.2.840.10008.1.1")]
PARTIAL = b"\x01\x00\x00\x10\x00\x00" + bytes(900_000)  # of an A-ASSOCIATE-RQ of 1 MiB


def flood(stack, port, count, data=b"", source="127.0.0.2"):
    """Open connections from another address, on which nothing more is said."""
    sockets = []
    for _ in range(count):
        peer = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
        sockets.append(stack.enter_context(peer))
        if data:
            try:
                peer.sendall(data)
            except OSError:
                continue
    return sockets


def is_closed(peer):
    peer.setblocking(False)
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


async def echo(peer):
    async with connect(peer, ECHO, timeouts=Timeouts(artim=15)) as association:
        return (await association.c_echo()).status


def test_half_open_connections_displace_each_other_and_nobody_else(pacs_process):
    node = pacs_process({"network": {"max_associations": 4}})
    with ExitStack() as stack:
        sockets = flood(stack, node.port, 250)
        assert anyio.run(echo, node.peer) == 0x0000
        until(lambda: sum(not is_closed(peer) for peer in sockets) <= 32)
        assert not is_closed(sockets[-1])
        log = node.log.read_text()
    assert "too many half-open connections from 127.0.0.2" in log


def test_all_hosts_together_have_so_many_half_open_connections(pacs_process):
    node = pacs_process({"network": {"max_half_open": 8, "max_half_open_per_host": 6}})
    with ExitStack() as stack:
        few = flood(stack, node.port, 2, source="127.0.0.3")
        many = flood(stack, node.port, 12)
        until(lambda: sum(not is_closed(peer) for peer in many) == 6)
        assert not any(map(is_closed, few))
        assert anyio.run(echo, node.peer) == 0x0000


def test_half_sent_requests_count_against_the_memory_budget(pacs_process):
    budget = 16 * 1024 * 1024
    tables = {
        "network": {
            "memory_budget": budget,
            "max_half_open": 250,
            "max_half_open_per_host": 250,
        }
    }
    node = pacs_process(tables)
    with ExitStack() as stack:
        sockets = flood(stack, node.port, 60, PARTIAL)
        until(lambda: sum(is_closed(peer) for peer in sockets) >= 60 - budget // 900_000)
        log = node.log.read_text()
        assert "no memory is left for its A-ASSOCIATE-RQ" in log
        assert anyio.run(echo, node.peer) == 0x0000
    # What they held is given back: as many find room again.
    with ExitStack() as stack:
        again = flood(stack, node.port, 10, PARTIAL)
        time.sleep(0.5)
        assert not any(map(is_closed, again))


def test_associations_of_one_host_leave_room_for_others(pacs_process):
    node = pacs_process({"network": {"max_associations": 16}})

    async def occupy():
        async with anyio.create_task_group() as tasks:
            release = anyio.Event()

            async def hold(task_status):
                async with connect(node.peer, ECHO):
                    task_status.started()
                    await release.wait()

            for _ in range(12):
                await tasks.start(lambda task_status: hold(task_status))
            with pytest.raises(AssociationRefusedError) as refused:
                await echo(node.peer)
            rejection = refused.value.rejection
            assert (rejection.result, rejection.source, rejection.reason) == (2, 3, 2)
            assert await anyio.to_thread.run_sync(answers_from, node.port, "127.0.0.2")
            release.set()

    anyio.run(occupy)
    assert "12 associations of 127.0.0.1 are open already" in node.log.read_text()


def answers_from(port, source):
    """Associate from an address; tell whether the answer is an A-ASSOCIATE-AC."""
    context = ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",))
    request = encode(AssociateRQ("PACS", "OTHER", (context,)))
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)) as s:
        s.sendall(request)
        return s.recv(1) == b"\x02"


def test_associations_and_requests_have_a_pace(pacs_process):
    node = pacs_process({"network": {"requests_per_second": 10.0}})

    async def many():
        async with connect(node.peer, ECHO) as association:
            started = time.monotonic()
            for _ in range(20):
                assert (await association.c_echo()).status == 0x0000
            return time.monotonic() - started

    assert anyio.run(many) > 0.8  # ten at once, ten more in a second
    node.stop()
    node = pacs_process({"network": {"associations_per_second": 3.0}})
    outcomes = [anyio.run(outcome, node.peer) for _ in range(12)]
    assert outcomes[:3] == [True] * 3
    assert False in outcomes


async def outcome(peer):
    try:
        return await echo(peer) == 0x0000
    except AssociationRefusedError:
        return False


def test_log_and_audit_of_a_flood_are_short_and_say_how_much_is_left_out(pacs_process):
    node = pacs_process({"network": {"refusals_recorded": 20}})
    with ExitStack() as stack:
        for peer in flood(stack, node.port, 120, b"GET / HTTP/1.0\r\n\r\n"):
            peer.settimeout(20)
            try:
                while peer.recv(100):
                    pass
            except OSError:
                continue
    assert node.stop() == 0
    log = node.log.read_text()
    audit = (node.data_directory / "audit" / "audit.jsonl").read_text()
    (left_out,) = re.findall(r"(\d+) more associations were refused", log)
    assert log.count(": refused 127.0.0.2:") == 20
    assert int(left_out) == 100
    assert audit.count('"event":"association-refused"') == 21
    assert '"suppressed":100' in audit


def test_moves_to_one_destination_take_turns(pacs_process, tmp_path):
    """The destination takes a single association: more at once would be rejected."""
    viewer = pacs_process(
        {"node": {"ae_title": "VIEWER"}, "network": {"max_associations": 1}},
        data_directory=tmp_path / "viewer",
    )
    node = pacs_process(
        {
            "peers": {"viewer": {"ae_title": "VIEWER", "host": "127.0.0.1", "port": viewer.port}},
            "network": {"max_associations_per_peer": 1},
        }
    )
    keys = {
        tag_of("QueryRetrieveLevel"): ("STUDY",),
        tag_of("StudyInstanceUID"): ("1.2.826.0.12",),
    }

    async def move(statuses):
        async with connect(node.peer, [Proposal(MOVE)]) as association:
            async for response, _ in association.c_move(MOVE, keys, "VIEWER"):
                last = response
            statuses.append((last.status, last.number_of_completed_suboperations))

    async def store_and_move():
        statuses = []
        async with connect(node.peer, [Proposal(CT_IMAGE, (EXPLICIT,))]) as association:
            assert (await association.c_store(CT_IMAGE, "1.2.826.0.12.3", dataset())).status == 0
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(move, statuses)
        return statuses

    assert anyio.run(store_and_move) == [(0x0000, 1)] * 8


def dataset():
    values = {
        "SOPClassUID": CT_IMAGE,
        "SOPInstanceUID": "1.2.826.0.12.3",
        "StudyInstanceUID": "1.2.826.0.12",
        "SeriesInstanceUID": "1.2.826.0.12.2",
        "PatientID": "TURNS",
    }
    return encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)


def test_hosts_of_addresses():
    assert host_of("192.0.2.7") == "192.0.2.7"
    assert host_of("2001:db8:1:2:3:4:5:6") == host_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert host_of("fe80::1%eth0") == "fe80::/64"
    assert host_of("") == ""
