"""The typed descriptors with which plugins register what they provide.

A descriptor names a thing, says what the kernel must know before the thing exists, and carries
the function that creates it. Creating must be cheap and free of input and output: that belongs
into :meth:`Component.start`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import field, frozen

from pacs_core.contracts.access import AssociationObserver, Authenticator, Authorizer
from pacs_core.contracts.audit import AuditSink
from pacs_core.contracts.changes import INSTANCE_CHANGES, ChangeConsumer, ChangeKind
from pacs_core.contracts.codec import Codec
from pacs_core.contracts.component import Component
from pacs_core.contracts.control import ControlHandler, ControlOperation
from pacs_core.contracts.deletion_guard import DeletionGuard
from pacs_core.contracts.events import EventHandler
from pacs_core.contracts.index import Index
from pacs_core.contracts.ingest_filter import IngestFilter
from pacs_core.contracts.node import Node, Setup
from pacs_core.contracts.object_store import ObjectStore
from pacs_core.contracts.service import Service
from pacs_core.contracts.service_provider import ServiceProvider, SopClassSupport

Interfaces = tuple[type, ...]


@frozen
class ServiceProviderDescriptor:
    """A service provider, and the SOP classes that it answers for.

    Attributes
    ----------
    name : str
    sop_classes : mapping of str to SopClassSupport
        By SOP class UID: what is negotiated.
    create : callable
    description : str
        What the service does: this and all that follows is for ``pacs conformance``.
    statuses : mapping of int to str
        The statuses that it answers, and when.
    extended_negotiation : mapping of int to str
        What it agrees to in SOP class extended negotiation, by the number of the byte in the
        service class application information, from 1.
    initiates : str
        Why, with whom and for what it opens associations; empty if it never does.
    requires : tuple of type
        Interfaces of the capabilities that it cannot do without.
    """

    name: str
    sop_classes: Mapping[str, SopClassSupport]
    create: Callable[[Node], ServiceProvider]
    description: str = ""
    statuses: Mapping[int, str] = field(factory=dict)
    extended_negotiation: Mapping[int, str] = field(factory=dict)
    initiates: str = ""
    requires: Interfaces = ()


@frozen
class ServiceDescriptor:
    """A service that runs beside the DICOM listener.

    Attributes
    ----------
    name : str
    create : callable
    scope : ``"worker"`` or ``"node"``
        Whether each worker process runs one, or one worker for all: when that one dies, another
        takes over. Nodes that share a data directory count as one; of nodes that share an index
        one runs it, as long as the index keeps leases (:attr:`Index.leases`).
    after : tuple of str
        Names of services that must have started before.
    bind : (str, int) or None
        Host and port to listen on; port 0 takes a free one. The kernel binds before the first
        worker exists, and refuses the service if the port is taken. Services that listen start
        after the others, as far as `after` lets them.
    describe_address : callable or None
        Returns what to print below the node's ``ready:`` line, such as
        ``"web: http://127.0.0.1:8042/"``, for the host and port that were bound.
    requires : tuple of type
        Interfaces of the capabilities that it cannot do without.
    """

    name: str
    create: Callable[[Node], Service]
    scope: Literal["worker", "node"] = "worker"
    after: tuple[str, ...] = ()
    bind: tuple[str, int] | None = None
    describe_address: Callable[[str, int], str] | None = None
    requires: Interfaces = ()


@frozen
class CapabilityDescriptor:
    """Something that a plugin offers to others, under an interface that they know.

    Attributes
    ----------
    name : str
    interface : type
        A class; what is created must be an instance of it, and a :class:`Component`.
    create : callable
    requires : tuple of type
        Interfaces of the capabilities that it cannot do without; they are started first.
    always : bool
        Whether a node that serves starts it though no descriptor requires it: for those who use it
        where it is there (:meth:`Capabilities.provides`).
    """

    name: str
    interface: type
    create: Callable[[Node], Component]
    requires: Interfaces = ()
    always: bool = False


@frozen
class ObjectStoreDescriptor:
    """A type of object stores; chosen by ``[archive] store``, or ``type`` of ``[stores.NAME]``.

    Attributes
    ----------
    name : str
    create : callable
        Called for each store of this type. Other stores that it is made of are those of
        :meth:`Setup.store`; they have been started.
    config : type or None
        The attrs class of a table ``[stores.NAME]`` of this type, without ``type``;
        :meth:`Setup.config` gives it to `create`. It may be that of ``[plugin.NAME]``, which holds
        for a store without a table. Fields of the type :class:`StoreName` name other stores. None
        if these tables have no further keys.
    """

    name: str
    create: Callable[[Setup], ObjectStore]
    config: type | None = None


@frozen
class IndexDescriptor:
    """An index; chosen by ``[archive] index = "NAME"``."""

    name: str
    create: Callable[[Setup], Index]


@frozen
class CodecDescriptor:
    """A codec for one or more transfer syntaxes, of which it need not know which it is.

    A plugin registers one for each transfer syntax that it encodes differently.

    Attributes
    ----------
    name : str
    decodes, encodes : frozenset of str
        Transfer syntax UIDs.
    create : callable
        Called in the worker process; must be importable by name, or a partial of what is.
    library, version, licence : str
        What does the work, for ``pacs codecs``.
    bits : (int, int)
        The fewest and the most Bits Stored that are encoded.
    preference : int
        Of several codecs for a transfer syntax the one with the highest is used, unless the
        configuration says which. Above 0 is what one installs because it is faster.
    recompresses : frozenset of (str, str)
        Pairs of transfer syntax UIDs, source and target, between which it converts codestreams
        without decoding them, and so without loss: see :meth:`Codec.recompress`.
    """

    name: str
    decodes: frozenset[str]
    encodes: frozenset[str]
    create: Callable[[], Codec]
    library: str = ""
    version: str = ""
    licence: str = ""
    bits: tuple[int, int] = (1, 16)
    preference: int = 0
    recompresses: frozenset[tuple[str, str]] = frozenset()

    @property
    def transfer_syntaxes(self) -> frozenset[str]:
        """UIDs of those that it decodes, encodes or recompresses to."""
        return self.decodes | self.encodes | {target for _, target in self.recompresses}


@frozen
class AuditSinkDescriptor:
    """An audit sink. If `required`, what it cannot record is not acknowledged."""

    name: str
    create: Callable[[Setup], AuditSink]
    required: bool = False


@frozen
class EventHandlerDescriptor:
    """An observer of instance events.

    Attributes
    ----------
    name : str
    create : callable
    requires : tuple of type
        Interfaces of the capabilities that it cannot do without.
    """

    name: str
    create: Callable[[Node], EventHandler]
    requires: Interfaces = ()


@frozen
class ChangeConsumerDescriptor:
    """A consumer of the changes that the index keeps.

    Attributes
    ----------
    name : str
        Its cursor is kept under this name: do not change it.
    create : callable
    kinds : frozenset of ChangeKind
        What it is told of.
    begin : ``"now"`` or ``"all"``
        What a consumer is told that the index does not know yet: what changes from now on, or
        first of every instance that is there, as ``ADDED``, ordered by study.
    batch : int
        At most so many changes are handed over together; as many may come again after a crash.
    requires : tuple of type
        Interfaces of the capabilities that it cannot do without.
    """

    name: str
    create: Callable[[Node], ChangeConsumer]
    kinds: frozenset[ChangeKind] = INSTANCE_CHANGES
    begin: Literal["now", "all"] = "now"
    batch: int = 64
    requires: Interfaces = ()


@frozen
class AccessDescriptor:
    """Parts that guard or watch associations; None for those that a plugin does not have.

    Attributes
    ----------
    name : str
    authenticator, authorizer, observer : callable or None
        One that does not start keeps the node from starting, but for the observer.
    """

    name: str
    authenticator: Callable[[Node], Authenticator] | None = None
    authorizer: Callable[[Node], Authorizer] | None = None
    observer: Callable[[Node], AssociationObserver] | None = None


@frozen
class IngestFilterDescriptor:
    """A filter of what arrives. One that does not start keeps the node from starting.

    Attributes
    ----------
    name : str
    create : callable
    after : tuple of str
        Names of filters that judge before it. Else they judge in plugin order.
    """

    name: str
    create: Callable[[Node], IngestFilter]
    after: tuple[str, ...] = ()


@frozen
class DeletionGuardDescriptor:
    """What keeps instances from being deleted. While it does not run, nothing is deleted.

    A node starts it with the others; a command when it is first asked, together with what it
    requires.

    Attributes
    ----------
    name : str
        Told with each reason.
    create : callable
    requires : tuple of type
        Interfaces of the capabilities that it cannot do without.
    """

    name: str
    create: Callable[[Node], DeletionGuard]
    requires: Interfaces = ()


@frozen
class ControlDescriptor:
    """An operation on a running node, and what handles it.

    Attributes
    ----------
    operation : ControlOperation
    create : callable
    description : str
        What it does, in one line.
    requires : tuple of type
        Interfaces of the capabilities that it cannot do without.
    audited : bool
        Whether to record that it was asked for. False suits what only looks at the node, and may be
        asked by a monitor every few seconds.
    """

    operation: ControlOperation[Any, Any]
    create: Callable[[Node], ControlHandler[Any, Any]]
    description: str = ""
    requires: Interfaces = ()
    audited: bool = True

    @property
    def name(self) -> str:
        """Of the operation."""
        return self.operation.name


@frozen
class CliCommandDescriptor:
    """A subcommand of ``pacs``.

    Attributes
    ----------
    name : str
        As typed; a space makes it a subcommand, as in ``"index rebuild"``.
    help : str
        One line.
    load : callable
        Returns the function that runs the command; its annotated signature and docstring are
        the command line, as Cyclopts reads them. Imports belong into it, so that ``pacs --help``
        stays fast.
    """

    name: str
    help: str
    load: Callable[[], Callable[..., int | None]] = field(repr=False)


Descriptor = (
    ServiceProviderDescriptor
    | ServiceDescriptor
    | CapabilityDescriptor
    | ObjectStoreDescriptor
    | IndexDescriptor
    | CodecDescriptor
    | AuditSinkDescriptor
    | EventHandlerDescriptor
    | ChangeConsumerDescriptor
    | AccessDescriptor
    | IngestFilterDescriptor
    | DeletionGuardDescriptor
    | ControlDescriptor
    | CliCommandDescriptor
)
