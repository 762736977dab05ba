"""Senders as they should be, slow, endless, too many and strange, over sockets."""

import re
import signal
import ssl
import time

import pytest
import trustme

from pacs_core.cli.main import main
from pacs_core.testing.node import node_process

from .conftest import PATIENCE, PLUGINS, Sender, framed, hl7_node, message, port_of, wait_for

LIMITS = {"max_message": 2048, "connections_per_address": 3, "timeout": 1.0}


def hello(control_id="1"):
    return message("ADT^A11", control_id, "PID|1||1")


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Of a node whose limits are low, for all tests of the module."""
    with hl7_node(tmp_path_factory.mktemp("plain"), LIMITS) as node:
        yield port_of(node)


def test_messages_are_answered_however_they_are_cut_and_glued(port):
    """MLLP: pieces, several frames in one segment, several messages in one frame."""
    with Sender(port) as sender:
        sender.write(framed(hello("1"), hello("2")) + b"\r\n" + framed(hello("3") + hello("4")))
        assert sender.answers(4) == [("AA", each) for each in "1234"]
        for byte in framed(hello("5")):
            sender.write(bytes((byte,)))
        assert sender.answers(1) == [("AA", "5")]
        whole = framed(hello("6"), hello("7"))
        half = len(whole) * 2 // 3
        sender.write(whole[:half])
        assert sender.answers(1) == [("AA", "6")]
        sender.write(whole[half:])
        assert sender.answers(1) == [("AA", "7")]


def test_a_connection_may_be_silent_but_a_message_must_end(port):
    """Slow senders: silent within a message, or a byte now and then (Slowloris)."""
    with Sender(port) as silent, Sender(port) as halted, Sender(port) as dribbling:
        halted.write(b"\x0bMSH|")
        dribbling.connection.settimeout(0.2)
        deadline = time.monotonic() + PATIENCE
        is_closed = False
        dribbling.write(b"\x0b")
        while not is_closed:
            assert time.monotonic() < deadline
            try:
                dribbling.write(b"M")
                is_closed = dribbling.connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                is_closed = True
        assert halted.is_closed
        assert silent.send(hello()) == [("AA", "1")]


@pytest.mark.parametrize(
    "rubbish",
    [b"\x0b" + b"x" * 5000, b"GET / HTTP/1.1\r\n" * 200, b"\x16\x03\x01" * 500],
    ids=["endless", "HTTP", "TLS"],
)
def test_what_is_too_long_or_no_mllp_ends_the_connection_and_nobody_elses(port, rubbish):
    with Sender(port) as good, Sender(port) as bad:
        bad.write(rubbish)
        assert bad.is_closed
        assert good.send(hello()) == [("AA", "1")]


def test_one_address_has_so_many_connections(port):
    def is_answered():
        try:
            with Sender(port) as sender:
                return sender.send(hello()) == [("AA", "1")]
        except OSError:
            return False

    with Sender(port) as first, Sender(port) as second, Sender(port) as third:
        for each in (first, second, third):
            assert each.send(hello()) == [("AA", "1")]
        with Sender(port) as fourth:
            assert fourth.is_closed
    wait_for(is_answered, "those who left still count")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ca")
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    for name, issuer in (("localhost", ca), ("his.hospital", ca), ("stranger", other)):
        pem = folder / f"{name}.pem"
        issued = issuer.issue_cert(name, "127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(pem)
    return folder


def test_tls_asks_both_ends_for_certificates(authority, tmp_path, capsys):
    """As ITI-19 has it: who has no certificate that the CA vouches for is not heard."""
    tls = {"certificate": str(authority / "localhost.pem"), "ca": str(authority / "ca.pem")}
    config = {"tls": tls, "timeout": 5.0, "allow": ["127.0.0.0/8"]}

    def context(name=""):
        made = ssl.create_default_context(cafile=authority / "ca.pem")
        if name:
            made.load_cert_chain(authority / f"{name}.pem")
        return made

    with hl7_node(tmp_path / "node", config) as node:
        port = port_of(node)
        # In TLS 1.3 who connects hears only later that its certificate is not accepted.
        for name in ("", "stranger"):
            with pytest.raises(OSError), Sender(port, context(name)) as sender:
                sender.send(hello())
        with Sender(port) as plain:
            plain.write(framed(hello()))
            assert plain.is_closed
        with Sender(port, context("his.hospital")) as sender:
            assert sender.send(hello(), hello("2")) == [("AA", "1"), ("AA", "2")]
            # Whoever merges is kept with the merge, and how they were connected is not.
            merge = message("ADT^A40", "3", "PID|1||B", "MRG|A")
            assert sender.send(merge) == [("AA", "3")]

        own = {"ca": str(authority / "ca.pem"), "certificate": str(authority / "his.hospital.pem")}
        tables = "[plugin.hl7.peers.good]\nhost = '127.0.0.1'"
        tables += f"\nport = {port}\n"
        tables += "[plugin.hl7.peers.good.tls]\n"
        tables += "".join(f"{key} = '{value}'\n" for key, value in own.items())
        tables += f"[plugin.hl7.peers.nameless]\nhost = '127.0.0.1'\nport = {port}\n"
        tables += f"timeout = 5\n[plugin.hl7.peers.nameless.tls]\nca = '{own['ca']}'\n"
        settings = tmp_path / "sender.toml"
        settings.write_text(tables)
        file = tmp_path / "message.hl7"
        file.write_text(hello("9").replace("\r", "\n"))
        send = ("hl7", "send", "--config", str(settings))
        assert main([*send, "good", str(file)]) == 0
        assert main([*send, "nameless", str(file)]) == 1
        assert main([*send, "unknown", str(file)]) == 2
        said = capsys.readouterr()
        assert f"{file}: AA" in said.out
        assert "nameless: TLS" in said.err or "closed the connection" in said.err
    audit = "".join(each.read_text() for each in (tmp_path / "node").rglob("audit*.jsonl"))
    assert "hl7.refused" in audit
    assert '"certificate":"' in audit
    assert "it showed no certificate" in audit


def test_addresses_that_are_not_named_are_refused_until_a_reload_names_them(tmp_path):
    tables = {"plugin": {"hl7": {"port": 0, "allow": ["10.0.0.0/8", "192.168.1.7"]}}}
    with node_process(tmp_path / "node", tables, plugins=PLUGINS) as node:
        (port,) = re.findall(r"hl7: mllp://127.0.0.1:(\d+)", node.process.stdout.readline())

        def is_answered():
            with Sender(int(port)) as sender:
                try:
                    return sender.send(hello()) == [("AA", "1")]
                except OSError:
                    return False

        assert not is_answered()
        config = tmp_path / "node" / "pacs.toml"
        config.write_text(config.read_text().replace("192.168.1.7", "127.0.0.1"))
        node.process.send_signal(signal.SIGHUP)
        wait_for(is_answered, "the address is refused as before")
