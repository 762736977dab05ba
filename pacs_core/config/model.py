"""The kernel's part of the configuration, table by table."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen
from attrs.validators import and_, ge, gt, in_, le, lt, optional

from pacs_core.archive import ArchiveSettings
from pacs_core.association import NetworkSettings
from pacs_core.contracts import (
    RELOADABLE,
    ClientTls,
    EncodeOptions,
    NodeSettings,
    Peer,
    ServerTls,
    TransferPolicy,
)
from pacs_core.dataset import SPECIFIC_CHARACTER_SETS, are_character_sets, transfer_syntax_uids
from pacs_core.plugins import PluginPolicy
from pacs_core.transcoding import TranscodingSettings, are_transfer_syntaxes

_port = and_(ge(0), le(65535))


def _is_ae_title(_instance: object, _attribute: object, value: str) -> None:
    check_ae_title(value)


def _are_character_sets(_instance: object, _attribute: object, value: tuple[str, ...]) -> None:
    if not are_character_sets(value):
        raise ValueError(
            f"{list(value)} are no values of Specific Character Set (PS3.3 C.12.1.1.2), "
            f"which are {', '.join(SPECIFIC_CHARACTER_SETS)}"
        )


@frozen
class NodeConfig:
    """``[node]``: who this node is and where it listens.

    Attributes
    ----------
    ae_title : str
        1 to 16 characters (PS3.5 Table 6.2-1, AE).
    host : str
        Address to listen on; the default is reachable from this machine only.
    port : int
        0 chooses a free one.
    data_directory : Path
        Where plugins keep their files by default.
    lease_time : float
        Seconds after which what only one of several nodes with one index does is taken over by
        another, if the node is not heard of.
    workers : int
        Processes that share the port; one for each core is a good number.
    file_mode : str
        Of the files of store, index and audit trail: ``"0600"``, ``"0640"`` for a group that may
        read, ``"0660"`` for one that may write. Directories have the same with the right to enter.
    default_character_set : tuple of str
        Specific Character Set of datasets and queries that name none, or lie, where it is not
        UTF-8; empty for Latin-1.
    """

    ae_title: str = field(default="PACS", validator=_is_ae_title)
    host: str = "127.0.0.1"
    port: int = field(default=11112, validator=_port)
    data_directory: Path = Path("pacs-data")
    file_mode: str = field(default="0600", validator=in_(("0600", "0640", "0660")))
    lease_time: float = field(default=30.0, validator=[ge(1), lt(86400)])
    workers: int = field(default=1, validator=ge(1))
    default_character_set: tuple[str, ...] = field(
        default=(), validator=_are_character_sets, metadata=RELOADABLE
    )


@frozen
class PeerConfig:
    """``[peers.NAME]``: a remote application entity.

    Attributes
    ----------
    ae_title : str
        By which C-MOVE names it as a destination.
    host : str
        Name or address.
    port : int
        Where it listens.
    accepted : tuple of str
        Transfer syntaxes that it may be sent; empty for all that it negotiates.
    preferred : tuple of str
        Transfer syntaxes to send it, the best first; empty for those of ``[transcoding]``.
    lossy : bool
        Whether lossy ones among the preferred are used; `quality` or `ratio` says how.
    quality : float or None
        Of lossy compression, from 0 to 100.
    ratio : float or None
        Of lossy compression: native to compressed size.
    new_uid : bool
        Whether what is compressed lossily on its way gets a SOP Instance UID of its own.
    receives : tuple of str
        Transfer syntaxes to choose, the best first, of those that it proposes to this node.
    default_character_set : tuple of str
        Specific Character Set of what it sends without naming one, or naming a wrong one; empty
        for that of ``[node]``.
    tls : ClientTls or None
        How associations with it are secured; None if they are not.
    """

    ae_title: str = field(validator=_is_ae_title)
    host: str
    port: int = field(default=104, validator=and_(ge(1), le(65535)))
    accepted: tuple[str, ...] = field(default=(), validator=are_transfer_syntaxes)
    preferred: tuple[str, ...] = field(default=(), validator=are_transfer_syntaxes)
    lossy: bool = False
    quality: float | None = field(default=None, validator=optional(and_(ge(0), le(100))))
    ratio: float | None = field(default=None, validator=optional(and_(gt(1), lt(math.inf))))
    new_uid: bool = False
    receives: tuple[str, ...] = field(default=(), validator=are_transfer_syntaxes)
    default_character_set: tuple[str, ...] = field(default=(), validator=_are_character_sets)
    tls: ClientTls | None = None

    def __attrs_post_init__(self) -> None:
        if self.lossy and self.quality is None and self.ratio is None:
            raise ValueError("lossy = true: say how lossy, with quality or ratio")

    @property
    def transfer(self) -> TransferPolicy:
        """What it is sent."""
        return TransferPolicy(
            transfer_syntax_uids(self.accepted),
            transfer_syntax_uids(self.preferred),
            self.lossy,
            EncodeOptions(self.quality, self.ratio),
            self.new_uid,
        )


@frozen
class AuditConfig:
    """``[audit]``: sinks that must record an operation before it is acknowledged.

    Attributes
    ----------
    required : tuple of str
        Names of audit sinks.
    """

    required: tuple[str, ...] = ()


@frozen
class LogConfig:
    """``[log]``: what the node tells about itself, on standard error.

    Attributes
    ----------
    level : str
        One of ``debug``, ``info``, ``warning``, ``error``, ``critical``.
    slow_loop : float
        Seconds that a plugin may block the event loop before it is named in the log; 0 watches
        nothing.
    """

    level: str = field(
        default="info",
        validator=in_(("debug", "info", "warning", "error", "critical")),
        metadata=RELOADABLE,
    )
    slow_loop: float = field(default=1.0, validator=[ge(0), lt(math.inf)])


@frozen
class Config:
    """A whole configuration.

    ``[plugin.NAME]`` and ``[stores.NAME]`` are structured by the classes of plugins.
    """

    node: NodeConfig = field(factory=NodeConfig)
    network: NetworkSettings = field(factory=NetworkSettings)
    archive: ArchiveSettings = field(factory=ArchiveSettings)
    plugins: PluginPolicy = field(factory=PluginPolicy)
    peers: Mapping[str, PeerConfig] = field(factory=dict, metadata=RELOADABLE)
    audit: AuditConfig = field(factory=AuditConfig)
    transcoding: TranscodingSettings = field(factory=TranscodingSettings)
    log: LogConfig = field(factory=LogConfig)
    stores: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    plugin: Mapping[str, Mapping[str, Any]] = field(factory=dict)

    @peers.validator
    def _check_peers(self, _attribute: object, peers: Mapping[str, PeerConfig]) -> None:
        """C-MOVE names its destination by AE title alone (PS3.7 §9.1.4.1.4)."""
        names: dict[str, str] = {}
        for name, peer in peers.items():
            other = names.setdefault(peer.ae_title, name)
            if other != name:
                raise ValueError(f"{other} and {name} have the same AE title {peer.ae_title!r}")

    @property
    def settings(self) -> NodeSettings:
        """What every plugin may know."""
        return NodeSettings(
            ae_title=self.node.ae_title,
            host=self.node.host,
            port=self.node.port,
            data_directory=self.node.data_directory,
            peers={
                name: Peer(
                    peer.ae_title,
                    peer.host,
                    peer.port,
                    name,
                    peer.transfer,
                    peer.default_character_set,
                    peer.tls,
                )
                for name, peer in self.peers.items()
            },
            timeouts=self.network.timeouts,
            default_character_set=self.node.default_character_set,
        )


def tls_tables(config: Config) -> dict[str, ServerTls | ClientTls]:
    """Return the tables of TLS that a configuration has, by path."""
    tables: dict[str, ServerTls | ClientTls] = {}
    if config.network.tls is not None:
        tables["network.tls"] = config.network.tls
    for name, peer in config.peers.items():
        if peer.tls is not None:
            tables[f"peers.{name}.tls"] = peer.tls
    return tables


def check_ae_title(value: str) -> None:
    """Check an AE title (PS3.5 Table 6.2-1).

    Raises
    ------
    ValueError
        It is empty, longer than 16 characters, or has characters that are not allowed. Spaces
        at either end are not significant, so that a title with some could never be told apart.
    """
    if not 1 <= len(value) <= 16 or not value.isascii() or not value.isprintable():
        raise ValueError(f"an AE title has 1 to 16 printable ASCII characters, not {value!r}")
    if value != value.strip():
        raise ValueError(f"an AE title neither begins nor ends with a space: {value!r}")
    if "\\" in value:
        raise ValueError(f"an AE title has no backslash: {value!r}")
