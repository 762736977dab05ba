"""The hooks of the kernel. Each docstring is a contract.

All hooks are synchronous and return descriptors, or nothing; behaviour lives in the objects that
a descriptor creates. Hooks are called once, in plugin order, while the node is assembled: after
all configuration was checked, before a port is bound. (:func:`pacs_hookspecs` and
:func:`pacs_config` come before that.) A hook that raises, or returns anything but
what it promises, quarantines its plugin: nothing of that plugin is used, and the node goes on
without it unless ``[plugins] required`` names it.

A plugin is a module or object named by an entry point in the group ``pacs_core.plugins``; it
marks its implementations with :data:`pacs_core.plugins.hookimpl`.
"""

from collections.abc import Sequence

from pacs_core.contracts import (
    AccessDescriptor,
    AuditSinkDescriptor,
    CapabilityDescriptor,
    ChangeConsumerDescriptor,
    CliCommandDescriptor,
    CodecDescriptor,
    ControlDescriptor,
    DataVersion,
    DeletionGuardDescriptor,
    EventHandlerDescriptor,
    Hooks,
    IndexDescriptor,
    IngestFilterDescriptor,
    ObjectStoreDescriptor,
    SecurityFinding,
    SecurityStatement,
    ServiceDescriptor,
    ServiceProviderDescriptor,
    Setup,
    WebServicesStatement,
)
from pacs_core.plugins.markers import hookspec


@hookspec
def pacs_hookspecs() -> object:
    """Return a module, or class, with the specifications of hooks that this plugin publishes.

    Called first of all, once every plugin is imported; then it is checked that plugins implement
    no hook that nobody specifies. A hook whose name is taken quarantines its later publisher. The
    publisher calls its hooks by :attr:`Node.hooks`, when it likes. A plugin that also works where
    the publisher is not installed marks its implementation ``@hookimpl(optionalhook=True)``.

    Example
    -------
    ::

        from collections.abc import Sequence

        from pacs_core.contracts import EventHandler, EventHandlerDescriptor, Node, Setup
        from pacs_core.plugins import hookimpl, hookspec

        class Hooks:
            @staticmethod
            @hookspec
            def acme_greetings(setup: Setup) -> Sequence[str]:
                "Return what to say when the node starts."

        class Greeter(EventHandler):
            def __init__(self, node: Node) -> None:
                self.node = node

            async def start(self) -> None:
                for contribution in self.node.hooks.call("acme_greetings"):
                    if not isinstance(contribution.result, Sequence):
                        self.node.hooks.refuse(contribution, "acme_greetings: return a list")

        @hookimpl
        def pacs_hookspecs() -> object:
            return Hooks

        @hookimpl
        def pacs_event_handlers(setup: Setup) -> list[EventHandlerDescriptor]:
            return [EventHandlerDescriptor("greeter", Greeter)]
    """
    raise NotImplementedError


@hookspec
def pacs_config() -> type:
    """Return the attrs class of the plugin's configuration.

    Called first, for every loaded plugin. The table ``[plugin.NAME]`` of the configuration, NAME
    being the plugin's entry point, is structured into this class with cattrs; unknown keys are
    errors, and the errors of all tables are reported at once. Without a table the class is
    called without arguments, so give every field a default unless the plugin cannot do without.

    Example
    -------
    ::

        from attrs import frozen
        from pacs_core.plugins import hookimpl

        @frozen
        class GreeterConfig:
            greeting: str = "hello"

        @hookimpl
        def pacs_config() -> type:
            return GreeterConfig
    """
    raise NotImplementedError


@hookspec
def pacs_service_providers(setup: Setup) -> Sequence[ServiceProviderDescriptor]:
    """Return the service providers: SOP classes and who answers for them.

    A SOP class that an earlier plugin has claimed quarantines the later one.

    Example
    -------
    ::

        from pacs_core.contracts import (
            Node, Operation, Response, ServiceProvider, ServiceProviderDescriptor, Setup,
            SopClassSupport,
        )
        from pacs_core.plugins import hookimpl

        class Echo(ServiceProvider):
            async def handle(self, operation: Operation) -> Response:
                return Response(status=0x0000)

        @hookimpl
        def pacs_service_providers(setup: Setup) -> list[ServiceProviderDescriptor]:
            sop_classes = {"1.2.840.10008.1.1": SopClassSupport()}
            return [ServiceProviderDescriptor("echo", sop_classes, lambda node: Echo())]
    """
    raise NotImplementedError


@hookspec
def pacs_services(setup: Setup) -> Sequence[ServiceDescriptor]:
    """Return services: what runs beside the DICOM listener as long as ``pacs serve`` does.

    Example
    -------
    ::

        import anyio

        from pacs_core.contracts import Node, Service, ServiceDescriptor, Setup, Started
        from pacs_core.plugins import hookimpl

        class Heartbeat(Service):
            beats = 0

            def __init__(self, node: Node) -> None:
                self.node = node

            async def run(self, started: Started) -> None:
                started()
                while True:
                    self.beats += 1
                    await anyio.sleep(60)

        @hookimpl
        def pacs_services(setup: Setup) -> list[ServiceDescriptor]:
            return [ServiceDescriptor("heartbeat", Heartbeat, scope="node")]
    """
    raise NotImplementedError


@hookspec
def pacs_capabilities(setup: Setup) -> Sequence[CapabilityDescriptor]:
    """Return what this plugin offers to others, under interfaces that they know.

    Of several plugins that provide one interface, the first in plugin order is used. Whoever needs
    one names it in `requires` of its descriptor and gets it by :meth:`Node.find`; where nobody
    provides it, that plugin is quarantined.

    Example
    -------
    ::

        from abc import abstractmethod

        from pacs_core.contracts import CapabilityDescriptor, Component, Node, Setup
        from pacs_core.plugins import hookimpl

        class Clock(Component):
            @abstractmethod
            def now(self) -> str: ...

        class Stopped(Clock):
            def now(self) -> str:
                return "12:00"

        @hookimpl
        def pacs_capabilities(setup: Setup) -> list[CapabilityDescriptor]:
            return [CapabilityDescriptor("stopped-clock", Clock, lambda node: Stopped())]
    """
    raise NotImplementedError


@hookspec
def pacs_check(setup: Setup) -> Sequence[str]:
    """Return what is wrong with the plugin's configuration and its surroundings, in sentences.

    Called once all plugins have registered, by everything that assembles a node: ``pacs serve``
    refuses to start, ``pacs config check`` counts the problems, each prefixed with
    ``plugin.NAME``, together with those of all other tables. Do nothing slow, and change nothing.

    Example
    -------
    ::

        from attrs import frozen
        from pacs_core.contracts import Setup
        from pacs_core.plugins import hookimpl

        @frozen
        class Rota:
            opens: int = 8
            closes: int = 20

        @hookimpl
        def pacs_config() -> type:
            return Rota

        @hookimpl
        def pacs_check(setup: Setup) -> list[str]:
            rota = setup.config(Rota)
            return [] if rota.opens < rota.closes else ["opens: later than it closes"]
    """
    raise NotImplementedError


@hookspec
def pacs_security_findings(setup: Setup, hooks: Hooks) -> Sequence[SecurityFinding]:
    """Return what is weak in the plugin's configuration, for ``pacs doctor security``.

    Called by that command alone, once all plugins have registered; nothing is started. `hooks` are
    those that plugins publish, so that a publisher can look whether anybody implements one. Do
    nothing slow, and change nothing.

    Example
    -------
    ::

        from attrs import frozen
        from pacs_core.contracts import Hooks, SecurityFinding, Setup, Severity, is_loopback
        from pacs_core.plugins import hookimpl

        @frozen
        class Teletype:
            host: str = "127.0.0.1"

        @hookimpl
        def pacs_config() -> type:
            return Teletype

        @hookimpl
        def pacs_security_findings(setup: Setup, hooks: Hooks) -> list[SecurityFinding]:
            if is_loopback(setup.config(Teletype).host):
                return []
            what, action = "everybody can read along", "set host in [plugin.teletype]"
            return [SecurityFinding(Severity.HIGH, what, action)]
    """
    raise NotImplementedError


@hookspec
def pacs_data_versions(setup: Setup) -> Sequence[DataVersion]:
    """Return the versions of what the plugin keeps, for ``pacs migrate --check``.

    Called by that command alone, in no event loop; nothing is started, and a node may run
    meanwhile. Read what is there, and change nothing: make no file either. Where it cannot be
    read, raise: the command says why, and exits with 1.

    Example
    -------
    ::

        import sqlite3
        from contextlib import closing
        from pacs_core.contracts import DataVersion, Setup
        from pacs_core.plugins import hookimpl

        @hookimpl
        def pacs_data_versions(setup: Setup) -> list[DataVersion]:
            path, found = setup.plugin.directory / "notes.sqlite", 0
            if path.exists():
                with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                    (found,) = connection.execute("PRAGMA user_version").fetchone()
            return [DataVersion.of_number(f"notes in {path}", found, known=3)]
    """
    raise NotImplementedError


@hookspec
def pacs_object_stores(setup: Setup) -> Sequence[ObjectStoreDescriptor]:
    """Return the object stores; ``[archive] store`` names the one that is created.

    Example
    -------
    ::

        from my_store import BucketConfig, BucketStore
        from pacs_core.contracts import ObjectStoreDescriptor, Setup
        from pacs_core.plugins import hookimpl

        @hookimpl
        def pacs_config() -> type:
            return BucketConfig

        @hookimpl
        def pacs_object_stores(setup: Setup) -> list[ObjectStoreDescriptor]:
            return [
                ObjectStoreDescriptor("bucket", lambda s: BucketStore(s.config(BucketConfig)))
            ]
    """
    raise NotImplementedError


@hookspec
def pacs_indexes(setup: Setup) -> Sequence[IndexDescriptor]:
    """Return the indexes; ``[archive] index`` names the one that is created.

    Example
    -------
    ::

        from my_index import TreeIndex
        from pacs_core.contracts import IndexDescriptor, Setup
        from pacs_core.plugins import hookimpl

        @hookimpl
        def pacs_indexes(setup: Setup) -> list[IndexDescriptor]:
            return [IndexDescriptor("tree", lambda setup: TreeIndex(setup.settings.data_directory))]
    """
    raise NotImplementedError


@hookspec
def pacs_codecs(setup: Setup) -> Sequence[CodecDescriptor]:
    """Return the codecs; for each transfer syntax the first in plugin order is used.

    Example
    -------
    ::

        from my_codec import RunLengthCodec
        from pacs_core.contracts import CodecDescriptor, Setup
        from pacs_core.plugins import hookimpl

        RLE = frozenset({"1.2.840.10008.1.2.5"})

        @hookimpl
        def pacs_codecs(setup: Setup) -> list[CodecDescriptor]:
            return [CodecDescriptor("rle", decodes=RLE, encodes=RLE, create=RunLengthCodec)]
    """
    raise NotImplementedError


@hookspec
def pacs_audit_sinks(setup: Setup) -> Sequence[AuditSinkDescriptor]:
    """Return the audit sinks; all of them receive every event.

    Example
    -------
    ::

        from collections.abc import Sequence

        from pacs_core.contracts import AuditEvent, AuditSink, AuditSinkDescriptor, Setup
        from pacs_core.plugins import hookimpl

        class Console(AuditSink):
            async def write(self, events: Sequence[AuditEvent]) -> None:
                for event in events:
                    print(event.time, event.kind.value, event.outcome.value)

        @hookimpl
        def pacs_audit_sinks(setup: Setup) -> list[AuditSinkDescriptor]:
            return [AuditSinkDescriptor("console", lambda setup: Console())]
    """
    raise NotImplementedError


@hookspec
def pacs_event_handlers(setup: Setup) -> Sequence[EventHandlerDescriptor]:
    """Return handlers of instance events: received, stored, deleted.

    Example
    -------
    ::

        from pacs_core.contracts import (
            EventHandler, EventHandlerDescriptor, InstanceEvent, InstanceEventKind, Setup,
        )
        from pacs_core.plugins import hookimpl

        class Counter(EventHandler):
            stored = 0

            async def handle(self, event: InstanceEvent) -> None:
                self.stored += event.kind is InstanceEventKind.STORED

        @hookimpl
        def pacs_event_handlers(setup: Setup) -> list[EventHandlerDescriptor]:
            return [EventHandlerDescriptor("counter", lambda node: Counter())]
    """
    raise NotImplementedError


@hookspec
def pacs_change_consumers(setup: Setup) -> Sequence[ChangeConsumerDescriptor]:
    """Return change consumers: who must hear of every change, whatever is killed when.

    Example
    -------
    ::

        from collections.abc import Sequence

        from pacs_core.contracts import (
            Change, ChangeConsumer, ChangeConsumerDescriptor, ChangeKind, Node, Setup,
        )
        from pacs_core.plugins import hookimpl

        class Forwarder(ChangeConsumer):
            def __init__(self, node: Node) -> None:
                self.node = node
                self.forwarded: list[str] = []

            async def handle(self, changes: Sequence[Change]) -> None:
                for change in changes:
                    if change.instance and change.kind is not ChangeKind.REMOVED:
                        self.forwarded.append(change.instance.key)

        @hookimpl
        def pacs_change_consumers(setup: Setup) -> list[ChangeConsumerDescriptor]:
            return [ChangeConsumerDescriptor("forwarder", Forwarder)]
    """
    raise NotImplementedError


@hookspec
def pacs_access(setup: Setup) -> Sequence[AccessDescriptor]:
    """Return authenticators, authorizers and observers of associations.

    Example
    -------
    ::

        from pacs_core.contracts import (
            Access, AccessAction, AccessDescriptor, Allow, Authorizer, Deny, Restrict, Setup,
            SingleValue, Verdict,
        )
        from pacs_core.dataset import tag_of
        from pacs_core.plugins import hookimpl

        class ReadOnly(Authorizer):
            async def authorize(self, access: Access) -> Verdict:
                if access.action in {AccessAction.STORE, AccessAction.DELETE}:
                    return Deny("read only")
                if access.origin.calling_ae_title == "CTVIEWER":
                    return Restrict((SingleValue(tag_of("Modality"), "CT"),))
                return Allow()

        @hookimpl
        def pacs_access(setup: Setup) -> list[AccessDescriptor]:
            return [AccessDescriptor("read-only", authorizer=lambda node: ReadOnly())]
    """
    raise NotImplementedError


@hookspec
def pacs_ingest_filters(setup: Setup) -> Sequence[IngestFilterDescriptor]:
    """Return filters that judge, and may change, what arrives before it is stored.

    Example
    -------
    ::

        from pacs_core.contracts import (
            Accept, Edit, FilterVerdict, IncomingHeader, IngestFilter, IngestFilterDescriptor,
            Origin, Reject, Setup,
        )
        from pacs_core.dataset import tag_of
        from pacs_core.plugins import hookimpl

        class Site(IngestFilter):
            async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
                if header.texts(tag_of("InstitutionName")) == ("St. Elsewhere",):
                    return Reject("not of this hospital")
                if not header.texts(tag_of("IssuerOfPatientID")):
                    return Edit({tag_of("IssuerOfPatientID"): ("HOSPITAL",)})
                return Accept()

        @hookimpl
        def pacs_ingest_filters(setup: Setup) -> list[IngestFilterDescriptor]:
            return [IngestFilterDescriptor("site", lambda node: Site())]
    """
    raise NotImplementedError


@hookspec
def pacs_deletion_guards(setup: Setup) -> Sequence[DeletionGuardDescriptor]:
    """Return what keeps instances from being deleted, or replaced by other content.

    Example
    -------
    ::

        from collections.abc import Mapping, Sequence

        from pacs_core.contracts import (
            DeletionGuard, DeletionGuardDescriptor, Origin, Setup, StoredInstance,
        )
        from pacs_core.plugins import hookimpl

        class Court(DeletionGuard):
            async def find_holds(
                self, instances: Sequence[StoredInstance], origin: Origin
            ) -> Mapping[str, str]:
                identities = [instance.identity for instance in instances]
                return {
                    each.sop_instance_uid: "evidence in a lawsuit"
                    for each in identities
                    if each.study_instance_uid == "1.2.840.99.1"
                }

        @hookimpl
        def pacs_deletion_guards(setup: Setup) -> list[DeletionGuardDescriptor]:
            return [DeletionGuardDescriptor("court", lambda node: Court())]
    """
    raise NotImplementedError


@hookspec
def pacs_control(setup: Setup) -> Sequence[ControlDescriptor]:
    """Return operations on the running node, for commands of the plugin.

    Example
    -------
    ::

        from collections.abc import AsyncIterator

        from attrs import frozen
        from pacs_core.contracts import (
            ControlDescriptor, ControlHandler, ControlOperation, Origin, Setup,
        )
        from pacs_core.plugins import hookimpl

        @frozen
        class Name:
            name: str = "world"

        @frozen
        class Greeting:
            text: str

        GREET = ControlOperation("greeter.greet", Name, Greeting)

        class Greeter(ControlHandler[Name, Greeting]):
            async def handle(self, request: Name, origin: Origin) -> AsyncIterator[Greeting]:
                yield Greeting(f"hello {request.name}")

        @hookimpl
        def pacs_control(setup: Setup) -> list[ControlDescriptor]:
            return [ControlDescriptor(GREET, lambda node: Greeter(), "Greet somebody.")]
    """
    raise NotImplementedError


@hookspec
def pacs_conformance(setup: Setup) -> Sequence[WebServicesStatement | SecurityStatement]:
    """Return web services of the plugin, and what it does for security, for the statement.

    Called by ``pacs conformance`` alone. What service providers offer is in it without this.

    Example
    -------
    ::

        from pacs_core.contracts import Setup, WebServicesStatement, WebTransaction
        from pacs_core.plugins import hookimpl

        @hookimpl
        def pacs_conformance(setup: Setup) -> list[WebServicesStatement]:
            greet = WebTransaction("Greet", "", ("GET /",), ("text/plain",))
            return [WebServicesStatement("Greeter", "/greeter", (greet,), {200: "greeted"})]
    """
    raise NotImplementedError


@hookspec
def pacs_cli_commands() -> Sequence[CliCommandDescriptor]:
    """Return subcommands of ``pacs``. Called for every run of ``pacs``: keep imports inside.

    Example
    -------
    ::

        from pacs_core.contracts import CliCommandDescriptor
        from pacs_core.plugins import hookimpl

        def load():
            def greet(name: str = "world") -> int:
                "Greet somebody."
                print(f"hello {name}")
                return 0

            return greet

        @hookimpl
        def pacs_cli_commands() -> list[CliCommandDescriptor]:
            return [CliCommandDescriptor("greet", "Greet somebody.", load)]
    """
    raise NotImplementedError
