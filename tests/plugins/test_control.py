"""Commands of a third party's distribution, and pacs's own, to a node that runs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.cli.main import main
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, write_config
from pacs_core.testing.processes import restore_sigint
from pacs_core.testing.waiting import until

TALLY = Path(__file__).parents[1] / "distributions" / "pacs-tally"
TABLES = {
    "node": {"workers": 2},
    "log": {"level": "info"},
    "network": {"timeouts": {"shutdown": 1.0}},
    "archive": {"space": {"reserve": 0}},
}
PLUGINS = (
    "tally", "index-sqlite", "store-filesystem", "sop-storage", "sop-verification", "audit-json",
)  # fmt: skip


def serve(folder, tables):
    return node_process(folder, tables, plugins=PLUGINS)


@pytest.fixture(scope="module", autouse=True)
def tally(site):
    """Install it, for processes and for this one."""
    site.link(TALLY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site.folder)
        yield


@pytest.fixture(scope="module")
def node(tmp_path_factory, tally):
    with serve(tmp_path_factory.mktemp("node"), TABLES) as running:
        yield running


def pacs(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which takes a fraction of what a new one takes to start."""
    output, errors = StringIO(), StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = main([*arguments, "--config", str(folder / "pacs.toml")])
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


def command(folder: Path, *arguments: str) -> list[str]:
    config = str(folder / "pacs.toml")
    return [sys.executable, "-m", "pacs_core.cli.main", *arguments, "--config", config]


def store(node, count: int) -> list[str]:
    datasets = [SampleStudy().make("CT") for _ in range(count)]

    async def send() -> None:
        for dataset in datasets:
            proposal = Proposal(dataset.sop_class_uid, (EXPLICIT,))
            async with connect(node.peer, [proposal]) as association:
                response = await association.c_store(
                    dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
                )
                assert response.status == 0x0000

    anyio.run(send)
    return [dataset.sop_instance_uid for dataset in datasets]


def counts(folder: Path) -> list[list[str]]:
    shown = pacs(folder, "tally", "show")
    assert shown.returncode == 0, shown.stderr
    return sorted(line.split() for line in shown.stdout.splitlines())


def stored(folder: Path) -> int:
    return sum(int(count) for _, count, *_ in counts(folder))


def watchers(folder: Path) -> list[str]:
    return [count for _, _, count, _ in counts(folder)]


# Commands of a plugin


def test_a_command_asks_every_process(node):
    before = stored(node.data_directory)
    store(node, 5)
    until(lambda: stored(node.data_directory) == before + 5)
    assert [worker for worker, *_ in counts(node.data_directory)] == ["0", "1"]


def test_responses_come_as_things_happen(node):
    watching = subprocess.Popen(
        command(node.data_directory, "tally", "watch", "--most", "3"),
        stdout=subprocess.PIPE,
        text=True,
    )
    with watching:
        until(lambda: watchers(node.data_directory) == ["1", "1"])
        first = store(node, 1)
        assert watching.stdout.readline().split() == first
        more = store(node, 2)
        assert sorted(watching.stdout.read().split()) == sorted(more)
        assert watching.wait(30) == 0
    until(lambda: watchers(node.data_directory) == ["0", "0"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_is_asked_ends_with_the_command(node, number):
    watching = subprocess.Popen(
        command(node.data_directory, "tally", "watch"),
        stderr=subprocess.DEVNULL,
        preexec_fn=restore_sigint,  # which tests in the background ignore
    )
    with watching:
        until(lambda: watchers(node.data_directory) == ["1", "1"])
        watching.send_signal(number)
        watching.wait(30)
    until(lambda: watchers(node.data_directory) == ["0", "0"])


def test_errors_are_those_of_the_archive(node):
    failed = pacs(node.data_directory, "tally", "locate", "1.2", "1.2.3")
    assert (failed.returncode, failed.stderr) == (1, "pacs: there is no instance 1.2.3\n")
    refused = pacs(node.data_directory, "tally", "locate", "1.2", "")
    assert (refused.returncode, refused.stderr) == (1, "pacs: name an instance\n")


def test_an_internal_error_is_one_callers_only(node):
    failed = pacs(node.data_directory, "tally", "break")
    assert (failed.returncode, failed.stdout) == (1, "so far\n")
    assert failed.stderr == "pacs: tally.break: internal error; the node's log says more\n"
    assert "a secret of the inside" in node.log.read_text()
    assert len(counts(node.data_directory)) == 2


def test_without_a_node_a_command_says_what_to_do(tmp_path):
    write_config(tmp_path, {})
    for arguments in (("tally", "show"), ("status",), ("stop",), ("reload",)):
        failed = pacs(tmp_path, *arguments)
        assert failed.returncode == 1
        assert failed.stderr == (
            f"pacs: no node runs on the data directory {tmp_path}: start it with `pacs serve`, or "
            "name the one that runs with --data or --config\n"
        )


# The kernel's own


def test_status(node):
    shown = pacs(node.data_directory, "status")
    assert shown.returncode == 0, shown.stderr
    assert f"dicom://PACS@127.0.0.1:{node.port} (pacs-core " in shown.stdout
    assert " in use, 0 quarantined\n" in shown.stdout
    assert re.search(
        r"^works: store \d+\.\d ms, index \d+\.\d ms, room ", shown.stdout, re.MULTILINE
    )
    assert re.search(r"^room: \d.* \(\d+%\) free for ", shown.stdout, re.MULTILINE)
    assert "memory for datasets: 0 bytes of 512 MiB; codec processes: 0 of " in shown.stdout
    described = [json.loads(line) for line in json_status(node.data_directory)]
    assert [(each["worker"], each["workers"]) for each in described] == [(0, 2), (1, 2)]
    assert len({each["process"] for each in described}) == 2
    assert {"name": "tally", "source": "pacs-tally 0.1.0", "state": "loaded", "reason": ""} in (
        described[0]["plugins"]
    )


def test_status_is_shown_again_until_it_is_interrupted(node):
    command = [sys.executable, "-m", "pacs_core.cli.main", "status", "--watch", "0.1"]
    command += ["--data", str(node.data_directory)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_sigint,
    )
    seen = 0
    while seen < 2:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        seen += "in use, 0 quarantined" in line
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in errors) == (130, False)


def test_status_says_what_does_not_work(tmp_path):
    with serve(tmp_path, {"archive": {"space": {"reserve": 0}}}):
        root = tmp_path / "objects"
        root.rename(tmp_path / "elsewhere")
        shown = pacs(tmp_path, "status")
        assert shown.returncode == 1
        assert f"DOES NOT WORK: store (worker 0): {root} is not there\n" in shown.stdout
        (told,) = [json.loads(line) for line in json_status(tmp_path)]
        assert {each["name"] for each in told["health"] if not each["problem"]} == {"index", "room"}
        (tmp_path / "elsewhere").rename(root)
        assert pacs(tmp_path, "status").returncode == 0


def json_status(folder: Path) -> list[str]:
    return pacs(folder, "status", "--json").stdout.splitlines()


def test_status_names_what_is_quarantined(tmp_path, site):
    source = """
    from attrs import frozen

    @frozen
    class Nothing:
        pass

    class Handler(ControlHandler):
        async def handle(self, request, origin):
            yield Nothing()

    @hookimpl
    def pacs_control(setup):
        return [ControlDescriptor(ControlOperation("status", Nothing, Nothing), Handler)]
    """
    site.install("usurper", source)
    site.install(
        "text-request",
        source.replace('"status", Nothing, Nothing', '"text.ask", str, Nothing'),
    )
    try:
        with node_process(tmp_path, TABLES | {"node": {"workers": 1}}):
            shown = pacs(tmp_path, "status")
            assert shown.returncode == 1
            assert "usurper (dist-usurper 1.0), quarantined: pacs_control: 'status' has no dot" in (
                shown.stdout
            )
            assert "pacs_control: text.ask: <class 'str'> is no class of attrs" in shown.stdout
    finally:
        for name in ("usurper", "text_request"):
            for left in site.folder.glob(f"*{name}*"):
                if left.is_dir():
                    for file in left.iterdir():
                        file.unlink()
                    left.rmdir()
                else:
                    left.unlink()


def test_reload_says_what_takes_effect_or_what_is_wrong(tmp_path):
    with node_process(tmp_path, TABLES) as running:
        write_config(tmp_path, TABLES | {"log": {"level": "debug"}, "node": {"workers": 3}})
        done = pacs(tmp_path, "reload")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "takes effect: log.level\nneeds a restart: node.workers\n"
        until(lambda: "the configuration was read again: log.level" in running.log.read_text())
        write_config(tmp_path, {"log": {"level": "loud"}})
        refused = pacs(tmp_path, "reload")
        assert refused.returncode == 2  # the command itself cannot read it
        refused = pacs(tmp_path, "reload", "--data", str(tmp_path))
        assert refused.returncode == 1
        assert "log.level: 'level' must be in" in refused.stderr
        shown = pacs(tmp_path, "status", "--data", str(tmp_path))
        assert (shown.returncode, shown.stdout.splitlines()[1].split()[0]) == (0, "WORKER")


@pytest.mark.parametrize(
    ("workers", "abort"),
    [
        (1, True),
        (2, False),
        pytest.param(1, False, marks=pytest.mark.long),
        pytest.param(2, True, marks=pytest.mark.long),
    ],
)
def test_stop(tmp_path, workers, abort):
    tables = TABLES | {
        "node": {"workers": workers},
        "network": {"timeouts": {"shutdown": 60.0 if abort else 2.0}},
    }
    with serve(tmp_path, tables) as running, associate(running):
        done = pacs(tmp_path, "stop", *(["--abort"] if abort else []))
        assert (done.returncode, done.stdout) == (0, "the node ends\n")
        assert running.process.wait(30) == 0
    assert list((tmp_path / "control").iterdir()) == []


def associate(node):
    """Return a connection that has sent an A-ASSOCIATE-RQ, and so keeps the node busy."""
    from anyio.from_thread import start_blocking_portal

    class Association:
        def __enter__(self):
            self.portal = start_blocking_portal()
            proposals = [Proposal("1.2.840.10008.1.1", (EXPLICIT,))]
            self.manager = self.portal.__enter__().wrap_async_context_manager(
                connect(node.peer, proposals)
            )
            self.manager.__enter__()

        def __exit__(self, *_):
            from contextlib import suppress

            with suppress(Exception):  # the node has aborted it
                self.manager.__exit__(None, None, None)
            self.portal.__exit__(None, None, None)

    return Association()


def test_a_worker_that_was_killed_is_missed_and_comes_again(node):
    victim = json.loads(json_status(node.data_directory)[1])["process"]
    os.kill(victim, signal.SIGKILL)

    def processes():
        found = map(json.loads, json_status(node.data_directory))
        return {each["worker"]: each["process"] for each in found}

    until(lambda: processes().keys() == {0, 1} and processes()[1] != victim, 60)


def test_sockets_of_a_killed_node_mean_nothing(tmp_path):
    with serve(tmp_path, TABLES | {"node": {"workers": 1}}) as running:
        running.kill()
    left = list((tmp_path / "control").glob("*.sock"))
    assert len(left) == 1
    assert "no node runs" in pacs(tmp_path, "status").stderr
    with serve(tmp_path, TABLES | {"node": {"workers": 1}}):
        assert pacs(tmp_path, "status").returncode == 0
        assert left[0] not in (tmp_path / "control").iterdir()


# Several nodes on one data directory


def test_each_of_two_nodes_is_asked_by_its_process_or_its_configuration(tmp_path):
    data = tmp_path / "data"
    alone = TABLES | {"node": {"workers": 1, "data_directory": str(data)}}
    two = TABLES | {"node": {"workers": 2, "data_directory": str(data), "ae_title": "TWO"}}
    with serve(tmp_path / "one", alone) as one, serve(tmp_path / "two", two) as other:
        shown = pacs(tmp_path / "one", "status")
        assert shown.returncode == 0, shown.stderr
        for running, title in ((one, "PACS"), (other, "TWO")):
            assert f"dicom://{title}@127.0.0.1:{running.port} (pacs-core " in shown.stdout
        nodes = [json.loads(line)["node"] for line in json_status(tmp_path / "one")]
        assert sorted(nodes) == sorted([one.process.pid, *[other.process.pid] * 2])

        refused = pacs(tmp_path / "one", "stop")  # both listen on a port that was free
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"2 nodes run on the data directory {data}, with the processes " in refused.stderr
        assert f"{other.process.pid} (TWO@127.0.0.1:{other.port})" in refused.stderr
        assert "name one with --process" in refused.stderr
        assert "2 nodes run" in pacs(tmp_path / "two", "tally", "show").stderr

        wrong = pacs(tmp_path / "one", "stop", "--process", "1")
        assert f"no node runs on the data directory {data} with the process 1" in wrong.stderr

        named = two | {"node": two["node"] | {"port": other.port}}
        write_config(tmp_path / "named", named)
        counted = pacs(tmp_path / "named", "tally", "show")
        # As they answer: which of them is first is theirs.
        assert sorted(line.split()[0] for line in counted.stdout.splitlines()) == ["0", "1"]

        stopped = pacs(tmp_path / "one", "stop", "--process", str(one.process.pid))
        assert (stopped.returncode, stopped.stdout) == (0, "the node ends\n")
        assert one.process.wait(30) == 0
        assert other.process.poll() is None
        assert pacs(tmp_path / "one", "stop").returncode == 0  # the only one that is left
        assert other.process.wait(30) == 0


# What the audit trail gets


def test_what_is_asked_is_recorded_but_for_what_only_looks(tmp_path):
    with serve(tmp_path, TABLES | {"node": {"workers": 1}}) as running:
        pacs(tmp_path, "status")
        pacs(tmp_path, "tally", "locate", "1.2", "1.2.3")
        pacs(tmp_path, "reload")
        pacs(tmp_path, "stop")
        assert running.process.wait(30) == 0
    events = map(json.loads, (tmp_path / "audit" / "audit.jsonl").read_text().splitlines())
    found = [
        (event["details"]["operation"], event["outcome"], event["details"].get("reason", ""))
        for event in events
        if event["event"] == "control"
    ]
    assert found == [
        ("tally.locate", "success", ""),
        ("tally.locate", "failure", "there is no instance 1.2.3"),
        ("reload", "success", ""),
        ("stop", "success", ""),
    ]


# Whoever else comes


def test_only_the_owner_gets_in(node):
    folder = node.data_directory / "control"
    assert folder.stat().st_mode & 0o777 == 0o700
    for each in folder.iterdir():
        assert each.is_socket()
        assert each.stat().st_mode & 0o777 == 0o600


def raw(node):
    path = min((node.data_directory / "control").glob("*.sock"))
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(path))
    return connection


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\n", 400),
        (b"\xff\xfe\n", 400),
        (b"[]\n", 400),
        (b"[" * 100_000 + b"\n", 400),
        (b'{"operation": 7}\n', 404),
        (b'{"operation": "no.such"}\n', 404),
        (b'{"operation": "stop", "request": {"abort": "perhaps", "more": 1}}\n', 400),
        (b'{"operation": "tally.locate", "request": []}\n', 400),
        (b"x" * 2_000_000, 413),
    ],
    ids=range(9),
)
def test_what_makes_no_sense_is_answered(node, sent, status):
    with raw(node) as connection, connection.makefile("rb") as lines:
        assert json.loads(lines.readline())["pacs"] == 1
        try:
            connection.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):
            return  # it did not wait for the end
        try:
            answer = lines.readline()
        except ConnectionResetError:
            return
        assert json.loads(answer)["status"] == status
        assert lines.readline() == b""
    assert len(counts(node.data_directory)) == 2


def test_callers_that_say_nothing_do_not_keep_others_out(node):
    idle = [raw(node) for _ in range(40)]
    try:
        begun = time.monotonic()
        # Those beyond the limit are turned away; the others are given up after ten seconds.
        until(lambda: len(json_status(node.data_directory)) == 2, 60)
        assert time.monotonic() - begun < 60
    finally:
        for each in idle:
            each.close()
    assert len(counts(node.data_directory)) == 2


def test_callers_that_leave_at_any_moment_leave_nothing(node):
    for sent in (b"", b'{"operation": "tally.watch"', b'{"operation": "tally.watch"}\n'):
        for _ in range(5):
            with raw(node) as connection:
                connection.sendall(sent)
    until(lambda: watchers(node.data_directory) == ["0", "0"])
    assert "the control channel failed one caller" not in node.log.read_text()
