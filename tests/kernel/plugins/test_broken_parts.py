"""A running node among broken plugins: C-ECHO is answered, the culprit is quarantined."""

import pytest

from pacs_core.app import StartError
from pacs_core.association import Proposal, connect
from pacs_core.plugins import PluginError, PluginState
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.anyio

ECHO = "1.2.840.10008.1.1"
SINK = """
class Part(AuditSink):
    async def write(self, events): pass
@hookimpl
def pacs_audit_sinks(setup): return [AuditSinkDescriptor("part", lambda setup: Part())]
"""
HANDLER = """
class Part(EventHandler):
    async def handle(self, event): pass
@hookimpl
def pacs_event_handlers(setup): return [EventHandlerDescriptor("part", lambda node: Part())]
"""
PROVIDER = """
class Part(Echo): pass
@hookimpl
def pacs_service_providers(setup):
    return [ServiceProviderDescriptor("part", {"1.2.3": SopClassSupport()}, lambda node: Part())]
"""
OBSERVER = """
class Part(AssociationObserver): pass
@hookimpl
def pacs_access(setup): return [AccessDescriptor("part", observer=lambda node: Part())]
"""
GUARD = """
class Part(Authorizer):
    async def authorize(self, access): return Allow()
@hookimpl
def pacs_access(setup): return [AccessDescriptor("part", authorizer=lambda node: Part())]
"""
OPTIONAL = {"sink": SINK, "handler": HANDLER, "provider": PROVIDER, "observer": OBSERVER}
FAULTS = {
    "raises": "async def start(self): raise RuntimeError('no backend')\nPart.start = start",
    "exits": "async def start(self): raise SystemExit(9)\nPart.start = start",
    "hangs": "import anyio\nasync def start(self): await anyio.sleep_forever()\nPart.start = start",
    "cannot be created": "def __init__(self): raise RuntimeError('no backend')\n"
    "Part.__init__ = __init__",
    "is nothing": "Part = lambda: None",
}
TABLES = {"network": {"timeouts": {"plugin": 0.2, "shutdown": 1.0}}}
VERIFICATION = f"@hookimpl\ndef pacs_service_providers(setup): return [echo('echo', '{ECHO}')]"


async def echo(node):
    async with connect(node.peer, [Proposal(ECHO), Proposal("1.2.3")]) as association:
        offered = {context.abstract_syntax for context in association.contexts.values()}
        return (await association.c_echo()).status, offered


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("part", OPTIONAL)
async def test_a_part_that_does_not_start_is_left_out(plugins, tmp_path, part, fault):
    plugins.add("broken", OPTIONAL[part] + FAULTS[fault])
    plugins.add("verification", VERIFICATION)
    manager = plugins.manager()
    with node_thread(tmp_path / "data", TABLES, manager) as node:
        assert await echo(node) == (0x0000, {ECHO})
        broken = manager.records[0]
        assert broken.state is PluginState.QUARANTINED
        assert "part (dist-broken 1.0)" in broken.reason


@pytest.mark.parametrize("source", ["raise SystemExit", "@hookimpl\ndef pacs_codecs(): 1 / 0"])
async def test_a_plugin_that_does_not_register_is_left_out(plugins, tmp_path, source):
    plugins.add("broken", source)
    plugins.add("verification", VERIFICATION)
    with node_thread(tmp_path / "data", TABLES, plugins.manager()) as node:
        assert await echo(node) == (0x0000, {ECHO})


async def test_other_parts_of_a_quarantined_plugin_are_not_started(plugins, tmp_path):
    plugins.add("broken", SINK + FAULTS["raises"] + PROVIDER.replace("Part", "Sound"))
    plugins.add("verification", VERIFICATION)
    with node_thread(tmp_path / "data", TABLES, plugins.manager()) as node:
        assert await echo(node) == (0x0000, {ECHO})


async def test_parts_are_stopped_last_started_first(plugins, tmp_path):
    module = plugins.add(
        "parts",
        """
        calls = []

        class First(Echo):
            async def start(self): calls.append("first started")
            async def stop(self): calls.append("first stopped")

        class Second(Echo):
            async def start(self): calls.append("second started")
            async def stop(self):
                calls.append("second stopped")
                raise RuntimeError("does not matter")

        @hookimpl
        def pacs_service_providers(setup):
            support = SopClassSupport()
            return [
                ServiceProviderDescriptor("first", {"1.2": support}, lambda node: First()),
                ServiceProviderDescriptor("second", {"1.3": support}, lambda node: Second()),
            ]
        """,
    )
    manager = plugins.manager()
    with node_thread(tmp_path / "data", TABLES, manager):
        pass
    assert manager.records[0].plugin.__name__ == module
    assert manager.records[0].plugin.calls == [
        "first started",
        "second started",
        "second stopped",
        "first stopped",
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_guard_that_does_not_start_keeps_the_node_shut(plugins, tmp_path, fault):
    plugins.add("guard", GUARD + FAULTS[fault])
    with (
        pytest.raises(StartError, match=r"authorizer part \(dist-guard 1.0\)"),
        node_thread(tmp_path / "data", TABLES, plugins.manager()),
    ):
        pass


def test_a_guard_whose_plugin_failed_elsewhere_keeps_the_node_shut(plugins, tmp_path):
    plugins.add("guard", SINK + FAULTS["raises"] + GUARD.replace("Part", "Guard"))
    with (
        pytest.raises(StartError, match="guards associations, but its plugin failed"),
        node_thread(tmp_path / "data", TABLES, plugins.manager()),
    ):
        pass


def test_a_required_plugin_that_does_not_start_keeps_the_node_shut(plugins, tmp_path):
    plugins.add("broken", PROVIDER + FAULTS["hangs"])
    with (
        pytest.raises(PluginError, match=r"broken: part .* did not start within 0.2 s"),
        node_thread(tmp_path / "data", TABLES, plugins.manager(required=("broken",))),
    ):
        pass


def test_a_required_audit_sink_that_does_not_start_keeps_the_node_shut(plugins, tmp_path):
    plugins.add("broken", SINK + FAULTS["raises"])
    tables = TABLES | {"audit": {"required": ["part"]}}
    with (
        pytest.raises(StartError, match=r"the required audit sink 'part': .*no backend"),
        node_thread(tmp_path / "data", tables, plugins.manager()),
    ):
        pass


@pytest.mark.parametrize("kind", ["store", "index"])
def test_a_store_or_index_that_does_not_start_keeps_the_node_shut(plugins, tmp_path, kind):
    hook, base = {"store": ("object_stores", "ObjectStore"), "index": ("indexes", "Index")}[kind]
    plugins.add(
        "broken",
        f"""
        @hookimpl
        def pacs_{hook}(setup):
            return [{base}Descriptor("broken", lambda setup: 1 / 0)]
        """,
    )
    tables = TABLES | {"archive": {kind: "broken"}}
    with (
        pytest.raises(StartError, match=r"broken \(dist-broken 1.0\) cannot be created"),
        node_thread(tmp_path / "data", tables, plugins.manager()),
    ):
        pass


ENDS = {
    "exits": "raise SystemExit(9)",
    "waits for what was cancelled": """
    import asyncio
    other = asyncio.ensure_future(asyncio.sleep(60))
    other.cancel()
    await other""",
}
PARTS = {
    "provider": (
        f"""
class Part(ServiceProvider):
    async def handle(self, operation):
        await end()
@hookimpl
def pacs_service_providers(setup):
    return [ServiceProviderDescriptor("part", {{"{ECHO}": SopClassSupport()}}, lambda n: Part())]
""",
        0x0110,
    ),
    "observer": (
        """
class Part(AssociationObserver):
    async def accepted(self, association):
        await end()
    async def ended(self, association, reason):
        await end()
@hookimpl
def pacs_access(setup): return [AccessDescriptor("part", observer=lambda node: Part())]
""",
        0x0000,
    ),
    "sink": (
        """
class Part(AuditSink):
    async def write(self, events):
        await end()
@hookimpl
def pacs_audit_sinks(setup): return [AuditSinkDescriptor("part", lambda setup: Part())]
""",
        0x0000,
    ),
    "guard": (
        """
class Part(Authorizer):
    async def authorize(self, access):
        await end()
@hookimpl
def pacs_access(setup): return [AccessDescriptor("part", authorizer=lambda node: Part())]
""",
        0x0124,
    ),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_leaves_while_it_works_has_failed_and_the_node_goes_on(
    plugins, tmp_path, part, end
):
    """Library code may exit, or be cancelled, where its caller expects an error."""
    source, status = PARTS[part]
    plugins.add("leaving", f"async def end():\n    {ENDS[end]}\n{source}")
    if part != "provider":
        plugins.add("verification", VERIFICATION)
    with node_thread(tmp_path / "data", TABLES, plugins.manager()) as node:
        for _ in range(2):
            assert (await echo(node))[0] == status
