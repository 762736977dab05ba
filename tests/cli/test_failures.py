"""What `pacs` says and returns when it cannot."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from pacs_core.cli.errors import TRACEBACK_VARIABLE, report


@pytest.fixture
def silent_peer():
    """A peer that accepts connections and never says anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_a_peer_that_is_not_there(pacs) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        peer = f"PACS@127.0.0.1:{closed.getsockname()[1]}"
        for command in (["echo", peer], ["find", peer], ["store", peer, __file__]):
            result = pacs(*command)
            assert result.code == 1
            assert "Traceback" not in result.err
        assert f"{peer}: " in pacs("echo", peer).err


def test_what_the_system_refuses_is_said_in_its_words(pacs, tmp_path) -> None:
    """No exception's name, errno or tuple of Python reaches a user."""
    (tmp_path / "file").touch()
    for data in (tmp_path / "file", tmp_path / "file" / "below"):
        result = pacs("serve", "--port", "0", "--data", data)
        assert result.code == 1
        assert f"{data}" in result.err
        assert "Not a directory" in result.err
        assert "Errno" not in result.err
        assert "Error:" not in result.err
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        err = pacs("echo", f"PACS@127.0.0.1:{closed.getsockname()[1]}").err
        assert err.endswith(": Connection refused; is the peer running?\n")


def test_a_peer_that_does_not_answer(pacs, silent_peer) -> None:
    port = silent_peer.getsockname()[1]
    result = pacs("echo", f"PACS@127.0.0.1:{port}", "--timeout", "0.2")
    assert result.code == 1
    assert "did not answer A-ASSOCIATE-RQ within 0.2 s" in result.err


def test_a_traceback_is_there_for_debugging(pacs) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        peer = f"PACS@127.0.0.1:{closed.getsockname()[1]}"
        assert "Traceback" in pacs("echo", peer, "--log-level", "debug").err


@pytest.mark.parametrize(
    "arguments",
    [
        ["echo"],
        ["echo", "nobody"],
        ["echo", "PACS@127.0.0.1:1", "--timeout", "0"],
        ["echo", "PACS@127.0.0.1:1", "--ae-title", "SEVENTEEN-LETTERS"],
        ["echo", "PACS@127.0.0.1:1", "--nonsense"],
        ["ecko"],
        ["store", "PACS@127.0.0.1:1"],
        ["store", "PACS@127.0.0.1:1", "x", "--window", "0"],
        ["find", "PACS@127.0.0.1:1", "--limit", "0"],
        ["find", "PACS@127.0.0.1:1", "-k", "PatintName"],
        ["get", "PACS@127.0.0.1:1", "-o", "x", "-k", "PatientName=DOE"],
        ["move", "PACS@127.0.0.1:1", "--to", "SEVENTEEN-LETTERS", "-k", "StudyInstanceUID=1"],
        ["import"],
        ["import", "x", "--at-once", "0"],
        ["delete"],
        ["delete", "--study", "../1"],
    ],
)
def test_a_wrong_command_line(pacs, arguments: list[str]) -> None:
    result = pacs(*arguments)
    assert result.code == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("pacs: ")


def test_ctrl_c(spawn, silent_peer) -> None:
    process = spawn("echo", f"PACS@127.0.0.1:{silent_peer.getsockname()[1]}")
    connection, _ = silent_peer.accept()
    with connection:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_ctrl_c_while_the_suite_runs_in_the_background(spawn, silent_peer) -> None:
    """A shell lets such a job ignore SIGINT; what tests start hears it all the same."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = spawn("echo", f"PACS@127.0.0.1:{silent_peer.getsockname()[1]}")
    finally:
        signal.signal(signal.SIGINT, before)
    connection, _ = silent_peer.accept()
    with connection:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


@pytest.mark.parametrize(
    "line",
    ["config show", "help", "help dump", "help exit-codes", "--help", "dump --help", "--version"],
)
def test_a_pipe_that_nobody_reads(line: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pacs_core.cli.main", *line.split()]
    process = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (process.returncode, process.stderr) == (141, "")


@pytest.mark.parametrize("command", [[], ["--help"], ["find", "--help"], ["index"]])
def test_help(pacs, command: list[str]) -> None:
    result = pacs(*command)
    assert result.code == 0
    assert "Usage: pacs" in result.out


def test_a_query_whose_output_nobody_reads(serve, samples, tmp_path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = [sys.executable, "-m", "pacs_core.cli.main"]
    with serve("--data", str(tmp_path)) as node:
        subprocess.run([*program, "store", node.peer, samples / "CT_small.dcm"], check=True)
        command = [*program, "find", node.peer, "--format", "csv"]
        process = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
        assert node.stop().code == 0
    os.close(writing)
    assert process.returncode == 141
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("value", ["", "1"])
def test_the_traceback_of_an_internal_error_is_there_for_who_asks(capsys, monkeypatch, value):
    """File commands have no ``--log-level``: the environment is what all commands read."""
    monkeypatch.setenv(TRACEBACK_VARIABLE, value)
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError("surprise")
    assert report(raised.value) == 1
    err = capsys.readouterr().err
    assert f"internal error: RuntimeError: surprise; with {TRACEBACK_VARIABLE}=1" in err
    assert ("Traceback" in err) is bool(value)
