"""A node with every kind of broken plugin at once: it serves, and says what is wrong with each."""

import json
import subprocess
import sys

import anyio
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.plugins import API_VERSION
from pacs_core.testing.node import node_process

VERIFICATION = "1.2.840.10008.1.1"
RAISING, BLOCKING, SWALLOWING = "2.25.71", "2.25.72", "2.25.73"
TABLES = {
    "log": {"level": "info", "slow_loop": 0.2},
    "network": {"timeouts": {"plugin": 0.5, "shutdown": 1.0}},
}


def provider(uid, body, name="Broken"):
    return f"""
class {name}(ServiceProvider):
{body}
    async def handle(self, operation):
        return await self.work(operation)

@hookimpl
def pacs_service_providers(setup):
    support = {{"{uid}": SopClassSupport()}}
    return [ServiceProviderDescriptor("of {uid}", support, lambda node: {name}())]
"""


QUARANTINED = {
    "raises-at-import": (
        "def load():\n    raise RuntimeError('no licence')\nload()",
        ("RuntimeError: no licence", "in load"),
        "tell the author",
    ),
    "raises-in-registration": (
        "@hookimpl\ndef pacs_codecs(setup):\n    return [1 / 0]",
        ("pacs_codecs raised ZeroDivisionError", "in pacs_codecs"),
        "tell the author",
    ),
    "returns-the-wrong-type": (
        "@hookimpl\ndef pacs_audit_sinks(setup):\n    return {'sink': 1}",
        ("pacs_audit_sinks: must return a sequence of AuditSinkDescriptor",),
        "tell the author",
    ),
    "has-an-unknown-hook": (
        "@hookimpl\ndef pacs_decoders(setup):\n    return []",
        ("unknown hooks pacs_decoders; this node knows pacs_access",),
        "correct the name",
    ),
    "wants-a-newer-api": (
        f"PACS_API_VERSION = ({API_VERSION[0]}, {API_VERSION[1] + 1})",
        ("it was built for plugin API",),
        "install a version of dist-wants-a-newer-api",
    ),
    "z-duplicates-a-sop-class": (
        provider(VERIFICATION, "    work = None"),
        (f"the SOP class {VERIFICATION} is provided by plugin sop-verification",),
        "choose one of the two",
    ),
    "misses-a-module": (
        "import there_is_no_such_module",
        ("No module named 'there_is_no_such_module'",),
        "install what provides the module",
    ),
}
HANGING = """
import anyio

class Hanging(EventHandler):
    async def start(self):
        await anyio.sleep_forever()
    async def handle(self, event): ...

@hookimpl
def pacs_event_handlers(setup):
    return [EventHandlerDescriptor("hanging", lambda node: Hanging())]
"""
RAISES = """
    async def work(self, operation):
        raise KeyError("a bug of mine")
"""
BLOCKS = """
    async def work(self, operation):
        import time
        time.sleep(1.0)
        return Response(status=0)
"""
LEAKS = """
    async def start(self):
        import asyncio
        asyncio.create_task(self.poll())
        asyncio.create_task(self.refuse_to_be_cancelled_once())

    async def poll(self):
        import anyio
        await anyio.sleep_forever()

    async def refuse_to_be_cancelled_once(self):
        import asyncio
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                await asyncio.sleep(1)
                raise

    async def work(self, operation):
        return Response(status=0)
"""


def install_all(site):
    for name, (source, _, _) in QUARANTINED.items():
        site.install(name, source)
    site.install("hangs", HANGING)
    site.install("raises-in-a-handler", provider(RAISING, RAISES))
    site.install("blocks", provider(BLOCKING, BLOCKS))
    site.install("leaks", provider(SWALLOWING, LEAKS))


async def talk(peer):
    """Use the broken providers, and the sound one after each; return all statuses."""
    classes = (RAISING, BLOCKING, SWALLOWING)
    statuses = []
    async with connect(peer, [Proposal(VERIFICATION), *map(Proposal, classes)]) as association:
        for sop_class in classes:
            response = await association.c_store(sop_class, "2.25.1", b"")
            echo = await association.c_echo()
            statuses.append((response.status, echo.status))
    return statuses


@pytest.fixture(scope="module")
def life(site, tmp_path_factory):
    """What a node with all of them answered, logged and returned."""
    install_all(site)
    with node_process(tmp_path_factory.mktemp("node") / "data", TABLES) as node:
        statuses = anyio.run(talk, node.peer)
        code = node.stop()
        return statuses, node.log.read_text(), code


@pytest.fixture(scope="module")
def diagnosis(site, life):
    """What ``pacs plugins doctor --json`` says of them, and its exit code."""
    command = [sys.executable, "-m", "pacs_core.cli.main", "plugins", "doctor", "--json"]
    result = subprocess.run(command, cwd=site.folder, capture_output=True, text=True, check=False)
    facts = json.loads(result.stdout)
    return {each["name"]: each for each in facts["plugins"]}, result.returncode


@pytest.fixture
def log_of(life):
    def lines(*words):
        return [line for line in life[1].splitlines() if all(word in line for word in words)]

    return lines


def test_the_node_serves_to_the_end_and_stops_in_order(life):
    statuses, _, code = life
    assert statuses == [(0x0110, 0x0000), (0x0000, 0x0000), (0x0000, 0x0000)]
    assert code == 0


@pytest.mark.parametrize("name", QUARANTINED)
def test_who_does_not_register_is_named_with_the_reason(log_of, name):
    _, said, _ = QUARANTINED[name]
    assert log_of(f"plugin {name} (dist-{name} 1.0) is quarantined", *said)


@pytest.mark.parametrize("name", QUARANTINED)
def test_the_doctor_says_what_to_do(diagnosis, name):
    _, said, action = QUARANTINED[name]
    plugins, code = diagnosis
    report = plugins[name]
    assert code == 1
    assert report["state"] == "quarantined"
    (problem,) = report["problems"]
    assert said[0] in problem["what"]
    assert action in problem["action"]


def test_the_doctor_shows_the_last_frames_in_the_plugins_own_code(diagnosis):
    frames = diagnosis[0]["raises-at-import"]["frames"]
    assert [frame["function"] for frame in frames] == ["<module>", "load"]
    assert [frame["code"] for frame in frames] == ["load()", "raise RuntimeError('no licence')"]
    assert diagnosis[0]["returns-the-wrong-type"]["frames"] == []


def test_who_hangs_while_starting_is_left_out(log_of):
    assert log_of("plugin hangs", "did not start within 0.5 s")


def test_who_raises_in_a_handler_is_in_the_log(log_of):
    assert log_of("KeyError", "a bug of mine")


def test_who_blocks_the_event_loop_is_named_once_with_the_place(log_of):
    (line,) = log_of("the event loop is blocked for more than 0.2 s", "plugin blocks")
    assert "(dist-blocks 1.0)" in line
    assert "blocks_of_plugin_tests.py" in line
    assert "in Broken.work" in line


def test_who_leaves_tasks_running_is_named_and_they_are_cancelled(log_of):
    lines = log_of("plugin leaks (dist-leaks 1.0) has left a task running")
    assert len(lines) == 2
    assert any("in Broken.poll" in line for line in lines)
    (stubborn,) = log_of("plugin leaks: the task", "does not end")
    assert "refuse_to_be_cancelled_once" in stubborn


def test_a_wrong_table_keeps_the_node_shut_and_the_doctor_names_it(pacs_process, site, tmp_path):
    site.install(
        "configured",
        """
        from attrs import frozen

        @frozen
        class Config:
            speed: int = 1

        @hookimpl
        def pacs_config(): return Config
        """,
    )
    tables = {"plugin": {"configured": {"speed": "fast"}}}
    with pytest.raises(RuntimeError, match=r"plugin\.configured\.speed: expected a whole number"):
        pacs_process(tables)
    config = tmp_path / "data" / "pacs.toml"
    command = [sys.executable, "-m", "pacs_core.cli.main", "plugins", "doctor", "--config"]
    result = subprocess.run([*command, config], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "problem: plugin.configured.speed: expected a whole number" in result.stdout
    assert "what to do: correct the table [plugin.configured]" in result.stdout
    assert "more: docs/how-to/troubleshooting.md#a-plugin-is-quarantined\n" in result.stdout


def test_a_loop_that_only_waits_is_no_blocked_one(log_of):
    """The node had nothing to do for most of its life, and was watched all the time."""
    assert not log_of("the event loop is blocked", "selectors.py")
    assert not log_of("the event loop is blocked", "runners.py")
