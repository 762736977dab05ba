"""The whole configuration, composed of the tables of the kernel's packages.

Each package declares its own table in its ``settings.py``; here is only the one that belongs to no
package below: ``[node]``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, fields, frozen, has
from attrs.validators import and_, ge, in_, le, lt

from pacs_core.archive import ArchiveSettings, AuditSettings
from pacs_core.association import NetworkSettings
from pacs_core.contracts import (
    RELOADABLE,
    ClientTls,
    DatabaseSettings,
    NodeSettings,
    ServerTls,
)
from pacs_core.logs.settings import LogSettings
from pacs_core.plugins import PluginPolicy
from pacs_core.sending import PeerSettings, are_character_set_terms, is_ae_title
from pacs_core.transcoding import TranscodingSettings

_port = and_(ge(0), le(65535))


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

    ae_title: str = field(default="PACS", validator=is_ae_title)
    host: str = "127.0.0.1"
    port: int = field(default=11112, validator=_port)
    data_directory: Path = Path("pacs-data")
    file_mode: str = field(default="0600", validator=in_(("0600", "0640", "0660")))
    lease_time: float = field(default=30.0, validator=[ge(1), lt(86400)])
    workers: int = field(default=1, validator=ge(1))
    default_character_set: tuple[str, ...] = field(
        default=(), validator=are_character_set_terms, metadata=RELOADABLE
    )


@frozen
class Config:
    """A whole configuration.

    ``[plugin.NAME]`` and ``[stores.NAME]`` are structured by the classes of plugins.
    """

    node: NodeConfig = field(factory=NodeConfig)
    network: NetworkSettings = field(factory=NetworkSettings)
    archive: ArchiveSettings = field(factory=ArchiveSettings)
    plugins: PluginPolicy = field(factory=PluginPolicy)
    peers: Mapping[str, PeerSettings] = field(factory=dict, metadata=RELOADABLE)
    audit: AuditSettings = field(factory=AuditSettings)
    database: DatabaseSettings = field(factory=DatabaseSettings)
    transcoding: TranscodingSettings = field(factory=TranscodingSettings)
    log: LogSettings = field(factory=LogSettings)
    stores: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    plugin: Mapping[str, Mapping[str, Any]] = field(factory=dict)

    @peers.validator
    def _check_peers(self, _attribute: object, peers: Mapping[str, PeerSettings]) -> None:
        """C-MOVE names its destination by AE title alone (PS3.7 §9.1.4.1.4)."""
        names: dict[str, str] = {}
        for name, peer in peers.items():
            if peer.ae_title is None:
                continue
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
            peers={n: p.as_peer(n) for n, p in self.peers.items() if p.is_application_entity},
            dicomweb_peers={n: web for n, p in self.peers.items() if (web := p.as_dicomweb_peer())},
            timeouts=self.network.timeouts,
            default_character_set=self.node.default_character_set,
            database=self.database,
        )


def tls_tables(
    config: Config, plugin_configs: Mapping[str, object] | None = None
) -> dict[str, ServerTls | ClientTls]:
    """Return the tables of TLS that a configuration has, by path.

    Parameters
    ----------
    config : Config
    plugin_configs : mapping of str to object, optional
        Tables of plugins, by name: those that they have at their top.
    """
    tables: dict[str, ServerTls | ClientTls] = {}
    if config.network.tls is not None:
        tables["network.tls"] = config.network.tls
    for name, peer in config.peers.items():
        if peer.tls is not None:
            tables[f"peers.{name}.tls"] = peer.tls
        if peer.dicomweb_tls is not None:
            tables[f"peers.{name}.dicomweb_tls"] = peer.dicomweb_tls
    for name, table in (plugin_configs or {}).items():
        kind = type(table)
        for each in fields(kind) if has(kind) else ():
            value = getattr(table, each.name)
            if isinstance(value, ServerTls | ClientTls):
                tables[f"plugin.{name}.{each.name}"] = value
    return tables
