"""The contract of the node's inspector: how the node is configured, and how it is doing.

The kernel provides one on every node that serves, as a capability::

    if node.capabilities.provides(NodeInspector):
        inspector = node.find(NodeInspector)

It asks nobody for permission: whoever shows what it says to somebody asks :attr:`Node.access`
first, for the action ``node.inspect``.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from enum import Enum

from attrs import frozen

from pacs_core.contracts.component import Component


class ConfigOrigin(Enum):
    """Where the value of a key comes from."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    """A secret that an environment variable holds."""
    COMMAND_LINE = "command-line"


@frozen
class ConfigValue:
    """A key of the configuration that the node runs with.

    Attributes
    ----------
    path : str
        With its tables: ``"archive.durability"``.
    value : str
        As TOML; of a secret, only where it is kept. Empty if it has none.
    origin : ConfigOrigin
    is_secret : bool
    """

    path: str
    value: str
    origin: ConfigOrigin
    is_secret: bool = False


@frozen
class QueueStatus:
    """Something in which work waits.

    Attributes
    ----------
    name : str
        ``"write-behind"``, or of the part that works it off: a store, a sink, a handler, a
        consumer.
    kind : str
        ``"write-behind"``, ``"audit"``, ``"events"``, ``"changes"`` or ``"spool"``. Changes, and
        what an audit sink keeps in a spool, wait for the node; all else for a process.
    waiting : int
        Events or changes; of write-behind, bytes of objects.
    lost : int
        What was dropped or failed since the process began.
    age : float
        Seconds for which the oldest has waited, as far as that is known; of a spool, for which
        nothing could be delivered.
    """

    name: str
    kind: str
    waiting: int
    lost: int = 0
    age: float = 0.0


@frozen
class PluginStatus:
    """A plugin of the node.

    Attributes
    ----------
    name, source, state : str
    reason : str
        Why it is not used; empty if it is.
    """

    name: str
    source: str
    state: str
    reason: str = ""


@frozen
class ResourceStatus:
    """Something of which there is so much.

    Attributes
    ----------
    name : str
        ``"memory"`` for datasets under way and ``"codec-processes"`` of this process; ``"room"``
        on a disk, of which the node knows how much is free, whoever takes it.
    where : str
        Of room, a directory on the disk; else empty.
    free, limit : float
        Bytes, or processes.
    """

    name: str
    where: str
    free: float
    limit: float


@frozen
class CertificateStatus:
    """A certificate that the configuration names.

    Attributes
    ----------
    where : str
        Path of its key.
    not_after : datetime or None
        None if it cannot be read.
    """

    where: str
    not_after: datetime | None


class WarningSource(Component):
    """What a plugin has to warn of: part of :meth:`NodeInspector.warnings`, so of ``pacs status``.

    Offer it as a capability with ``always=True``, under an interface of your own that derives from
    this one, for several plugins may have something to say.
    """

    @abstractmethod
    async def warnings(self) -> Sequence[str]:
        """Return what somebody should look at, each in a sentence; cheap, for it is asked often."""


class NodeInspector(ABC):
    """Describes the process of the node in which it is asked."""

    @property
    @abstractmethod
    def addresses(self) -> Sequence[str]:
        """Where the node listens for associations, with the ports that it really has."""

    @property
    @abstractmethod
    def config_file(self) -> str:
        """Path of the configuration's file; empty if there is none."""

    @abstractmethod
    def configuration(self) -> Sequence[ConfigValue]:
        """Return every key with the value that it has now, plugins' tables included."""

    @abstractmethod
    def plugins(self) -> Sequence[PluginStatus]:
        """Return all plugins, those included that are not used."""

    @abstractmethod
    async def queues(self) -> Sequence[QueueStatus]:
        """Return where work waits: for consumers of changes in the node, else in this process."""

    async def resources(self) -> Sequence[ResourceStatus]:
        """Return how much there is left of what can run out."""
        return ()

    def certificates(self) -> Sequence[CertificateStatus]:
        """Return the certificates of this side and of CAs; reads their files."""
        return ()

    @abstractmethod
    async def warnings(self) -> Sequence[str]:
        """Return what somebody should look at, each in a sentence."""
