"""HTTPS: what is answered, what is refused, and that a slow handshake holds up nobody."""

import re
import signal
import socket
import ssl

import httpx
import pytest
import trustme

from pacs_core.testing.node import node_process

from .conftest import run_web, wait_for


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def table(authority, tmp_path):
    pem = tmp_path / "node.pem"
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    return {"certificate": str(pem), "peers": "ignored"}


def serial_of(context, port):
    with (
        socket.create_connection(("127.0.0.1", port), 20) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secured,
    ):
        return secured.getpeercert()["serialNumber"]


@pytest.fixture
def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_https_is_answered_and_what_is_none_is_refused(bulletin, tmp_path, table, client_context):
    settings = {"tls": table, "timeouts": {"head": 3.0}}
    with run_web(tmp_path / "node", settings) as web:
        url = f"https://127.0.0.1:{web.port}"
        slow = [socket.create_connection(("127.0.0.1", web.port)) for _ in range(3)]
        for each in slow:
            each.sendall(b"\x16\x03\x01")
        with httpx.Client(verify=client_context, timeout=20) as client:
            wait_for(lambda: client.get(f"{url}/health/live").status_code == 200, "not live")
            assert client.get(f"{url}/openapi.json").status_code == 200
        old = ssl.create_default_context()
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(url, verify=old)
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{web.port}/", timeout=20)
        wait_for(lambda: "TLS: it speaks HTTP" in web.log, "HTTP is not named")
        wait_for(lambda: web.log.count("TLS: the handshake did not end") == 3, "slow ones stay")
        for each in slow:
            each.close()
        assert web.node.stop() == 0
        assert "Traceback" not in web.log


def test_a_certificate_that_is_not_there_keeps_the_server_from_starting(bulletin, tmp_path):
    nowhere = {"certificate": str(tmp_path / "nowhere.pem"), "peers": "ignored"}
    tables = {"plugin": {"web": {"port": 0, "tls": nowhere}}}
    with node_process(tmp_path / "node", tables) as node:
        wait_for(lambda: "nowhere.pem: cannot be read" in node.log.read_text(), "not said")


def test_another_certificate_is_taken_on_sighup_and_a_bad_one_is_not(
    bulletin, tmp_path, table, authority, client_context
):
    folder = tmp_path / "node"

    def reload(web, certificate):
        text = (folder / "pacs.toml").read_text()
        old = re.search(r'certificate = "([^"]+)"', text)[1]
        (folder / "pacs.toml").write_text(text.replace(old, str(certificate)))
        web.node.process.send_signal(signal.SIGHUP)

    other = tmp_path / "other.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(other)
    with run_web(folder, {"tls": table}) as web:
        first = wait_for(lambda: serial_of(client_context, web.port), "no certificate")
        reload(web, tmp_path / "nowhere.pem")
        wait_for(lambda: "tls: " in web.log and "goes on with the config" in web.log, "not refused")
        assert serial_of(client_context, web.port) == first
        reload(web, other)
        wait_for(lambda: "plugin.web.tls.certificate changed" in web.log, "not taken")
        assert serial_of(client_context, web.port) != first


def test_a_certificate_that_is_renewed_in_its_place_is_taken(
    bulletin, tmp_path, table, authority, client_context
):
    with run_web(tmp_path / "node", {"tls": table}) as web:
        first = wait_for(lambda: serial_of(client_context, web.port), "no certificate")
        renewed = authority.issue_cert("localhost").private_key_and_cert_chain_pem
        renewed.write_to_path(tmp_path / "renewed.pem")
        (tmp_path / "renewed.pem").rename(table["certificate"])
        said = "plugin.web.tls: its certificates were read again"
        wait_for(lambda: said in web.log, "not taken")
        assert serial_of(client_context, web.port) != first
