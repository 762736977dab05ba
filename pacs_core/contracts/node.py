"""Node, as the components that plugins create see it: settings, peers, archive, audit."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar, cast

from attrs import define, field, frozen
from attrs.setters import NO_OP, frozen as unchangeable

from pacs_core.contracts.access import AccessGuard, NoAccessGuard
from pacs_core.contracts.archive import Archive
from pacs_core.contracts.association import (
    AssociationOptions,
    Connector,
    NoConnector,
    Proposal,
    RequestedAssociation,
    ServeRequests,
)
from pacs_core.contracts.audit import AuditTrail
from pacs_core.contracts.capability import Capabilities, Interface
from pacs_core.contracts.health import HealthChecks
from pacs_core.contracts.hooks import Hooks
from pacs_core.contracts.ingest_observing import IngestObservers
from pacs_core.contracts.metering import Meter, NoMeter
from pacs_core.contracts.node_settings import NodeSettings
from pacs_core.contracts.object_store import ObjectStore
from pacs_core.contracts.observing import OperationObservers
from pacs_core.contracts.peer import Peer
from pacs_core.contracts.sending import NoSender, Sender
from pacs_core.contracts.tls import NoTlsContexts, TlsContexts
from pacs_core.contracts.tracing import Tracing
from pacs_core.contracts.transcoding import PassThrough, Transcoder

ConfigT = TypeVar("ConfigT")
T = TypeVar("T")


@frozen
class PluginInfo:
    """The plugin that a setup was made for.

    Attributes
    ----------
    name : str
        Of its entry point, and so of its table ``[plugin.NAME]``.
    directory : Path
        Where it may keep files. It need not exist yet, and no other plugin uses it.
    """

    name: str
    directory: Path


@frozen
class Setup:
    """The node's settings and the plugin's own configuration, for registration hooks.

    Attributes
    ----------
    settings : NodeSettings
    configs : mapping of type to object
        The config of this plugin by its class, if it declared one; read it with :meth:`config`.
    plugin : PluginInfo
        The plugin that receives this setup.
    store_name : str
        The NAME of ``[stores.NAME]``, where an object store is created that has such a table.
    stores : mapping of str to ObjectStore
        Those that it is made of; get them with :meth:`store`.
    """

    settings: NodeSettings
    configs: Mapping[type, object] = field(factory=dict)
    plugin: PluginInfo = field()
    store_name: str = ""
    stores: Mapping[str, ObjectStore] = field(factory=dict)

    @plugin.default
    def _without_plugin(self) -> PluginInfo:
        return PluginInfo("", self.settings.data_directory)

    @property
    def directory(self) -> Path:
        """Where what is created may keep files; it need not exist yet.

        A store with a table of its own has one of its own, in ``stores``; all else has that of the
        plugin.
        """
        if self.store_name:
            return self.settings.data_directory / "stores" / self.store_name
        return self.plugin.directory

    def config(self, schema: type[ConfigT]) -> ConfigT:
        """Return the config: an instance of the class that `pacs_config` or a descriptor gave.

        Raises
        ------
        LookupError
            The plugin did not declare this class.
        """
        if schema not in self.configs:
            raise LookupError(
                f"the plugin {self.plugin.name or '(none)'} did not declare the config class "
                f"{schema.__qualname__}: return it from the hook pacs_config"
            )
        return cast(ConfigT, self.configs[schema])

    def store(self, name: str) -> ObjectStore:
        """Return a store that the one to be created is made of.

        Parameters
        ----------
        name : str
            A :class:`StoreName` of its config.

        Raises
        ------
        LookupError
            Its config does not name this store.
        """
        if name not in self.stores:
            raise LookupError(
                f"the config names no store {name!r}: give its field the type StoreName"
            )
        return self.stores[name]


@frozen
class WorkerInfo:
    """One of the processes of a node.

    Attributes
    ----------
    slot : int
        From 0; the process that takes the place of one that died has the same.
    count : int
        How many there are.
    """

    slot: int = 0
    count: int = 1


@define(on_setattr=unchangeable, eq=False)
class Node:
    """What components receive when they are created.

    Attributes
    ----------
    settings : NodeSettings
        As they are now: read them when they are needed, for peers and timeouts may change while
        the node runs. The kernel alone assigns them.
    archive : Archive
        Raises :class:`LookupError` on use if no store and index are configured.
    audit : AuditTrail
    transcoder : Transcoder
        By which those who send instances choose their form.
    hooks : Hooks
        By which a plugin calls the hooks that it publishes.
    capabilities : Capabilities
        What plugins offer each other; see :meth:`find`.
    worker : WorkerInfo
        Which of the node's processes this is.
    connector : Connector
        Requests associations; see :meth:`connect`.
    sender : Sender
        Sends stored instances to peers.
    operations : OperationObservers
        Whoever wants to be told of operations adds itself here.
    ingests : IngestObservers
        Whoever wants to be told how long it takes to store instances adds itself here.
    health : HealthChecks
        Whoever the node cannot do without adds a check here.
    meter : Meter
        For numbers that plugins keep, and others collect.
    tracing : Tracing
        By which parts say what they do, to whoever traces it.
    stores : mapping of str to ObjectStore
        The object stores that the archive's is made of, itself included, by name: for the other
        parts of the plugins that provide them. Whoever wants instances asks the archive.
    tls : TlsContexts
        Where TLS contexts come from, for doors and connections of plugins as well.
    access : AccessGuard
        Asks the authorizers about what is no use of the archive, under an action of the plugin.
    is_ending : bool
        Whether the node has been told to end, and wants nothing new. The kernel alone assigns it.
    """

    settings: NodeSettings = field(on_setattr=NO_OP)
    archive: Archive
    audit: AuditTrail
    transcoder: Transcoder = field(factory=PassThrough)
    hooks: Hooks = field(factory=Hooks)
    capabilities: Capabilities = field(factory=Capabilities)
    worker: WorkerInfo = WorkerInfo()
    connector: Connector = field(factory=NoConnector)
    sender: Sender = field(factory=NoSender)
    operations: OperationObservers = field(factory=OperationObservers)
    ingests: IngestObservers = field(factory=IngestObservers)
    tracing: Tracing = field(factory=Tracing)
    meter: Meter = field(factory=NoMeter)
    health: HealthChecks = field(factory=HealthChecks)
    stores: Mapping[str, ObjectStore] = field(factory=dict)
    tls: TlsContexts = field(factory=NoTlsContexts, on_setattr=NO_OP)
    access: AccessGuard = field(factory=NoAccessGuard)
    is_ending: bool = field(default=False, on_setattr=NO_OP)

    def connect(
        self,
        peer: Peer,
        proposals: Sequence[Proposal],
        *,
        options: AssociationOptions | None = None,
        serve: ServeRequests | None = None,
    ) -> AbstractAsyncContextManager[RequestedAssociation]:
        """Associate with a peer for an ``async with`` block: see :meth:`Connector.connect`."""
        return self.connector.connect(peer, proposals, options=options, serve=serve)

    def find(self, interface: Interface[T]) -> T:
        """Return what another plugin provides under an interface.

        Parameters
        ----------
        interface : type
            Named in `requires` of the descriptor, so that it is there.

        Raises
        ------
        LookupError
            No plugin provides it.
        """
        return self.capabilities.find(interface)
