"""`pacs serve`: from the ready line to the exit code."""

import os
import signal
import socket
from pathlib import Path

import pytest

from pacs_core.association import AssociationAbortedError, Proposal, connect
from pacs_core.contracts import Peer

pytestmark = pytest.mark.true_start

VERIFICATION = "1.2.840.10008.1.1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_ends_at_a_signal(serve, tmp_path: Path, number: int) -> None:
    with serve("--data", str(tmp_path), "--ae-title", "ARCHIVE") as server:
        start, _, facts = server.line.partition(" (")
        assert start == f"ready: dicom://ARCHIVE@127.0.0.1:{server.port}"
        assert "plugins, store filesystem, index sqlite, data" in facts
        assert facts.endswith(f" {tmp_path})\n")
        result = server.stop(number)
    assert result.code == 0
    assert result.out == ""
    assert "draining" in result.err


async def talk_until_aborted(server) -> None:
    peer = Peer("PACS", "127.0.0.1", server.port)
    async with connect(peer, [Proposal(VERIFICATION)]) as association:
        await association.c_echo()
        server.process.send_signal(signal.SIGTERM)
        # The log says that the first signal has been taken.
        while "draining" not in server.process.stderr.readline():
            pass
        assert (await association.c_echo()).status == 0
        server.process.send_signal(signal.SIGTERM)
        while True:
            await association.c_echo()


@pytest.mark.anyio
async def test_a_second_signal_aborts_what_still_runs(serve, tmp_path: Path) -> None:
    config = tmp_path / "pacs.toml"
    config.write_text("[network.timeouts]\nnotice = 600.0\nshutdown = 600.0\n")
    with serve("--data", str(tmp_path), "--config", str(config)) as server:
        with pytest.raises(AssociationAbortedError):
            await talk_until_aborted(server)
        _, err = server.process.communicate(timeout=30)
    assert server.process.returncode == 0
    assert "aborting" in err


def test_a_port_that_is_taken(pacs, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = pacs("serve", "--data", tmp_path, "--port", port)
    assert result.code == 1
    assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in result.err
    assert "Traceback" not in result.err


def test_ipv6(serve, pacs, tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with serve("--data", str(tmp_path), "--host", "::1") as server:
        assert server.line.startswith(f"ready: dicom://PACS@[::1]:{server.port} ")
        assert pacs("echo", f"PACS@[::1]:{server.port}").code == 0


def test_every_configuration_error_at_once(pacs, tmp_path: Path) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(
        """
        [node]
        port = 70000
        colour = "blue"
        [plugin.index-sqlite]
        synchronous = "sometimes"
        [plugin.nowhere]
        """
    )
    result = pacs("serve", "--config", config)
    assert result.code == 2
    assert result.out == ""
    problems = result.err.splitlines()
    assert all(line.startswith("pacs: configuration: ") for line in problems)
    for place in ("node.port", "'colour'", "plugin.index-sqlite", "plugin.nowhere"):
        assert any(place in line for line in problems), place


def test_a_broken_plugin_is_a_warning(serve, plugin, tmp_path: Path) -> None:
    site = plugin("broken", "raise RuntimeError('not\\ntoday')")
    path = os.pathsep.join(filter(None, [site, os.environ.get("PYTHONPATH")]))
    with serve("--data", str(tmp_path), PYTHONPATH=path) as server:
        result = server.stop()
    assert result.code == 0
    (warning,) = [line for line in result.err.splitlines() if "quarantined" in line]
    assert " WARNING " in warning
    assert "broken" in warning
    assert "not\\ntoday" in warning


def test_a_required_plugin_that_is_missing(pacs, tmp_path: Path) -> None:
    config = tmp_path / "pacs.toml"
    config.write_text('[plugins]\nrequired = ["radar"]\n')
    result = pacs("serve", "--config", config)
    assert result.code == 2
    assert "radar: not installed" in result.err
