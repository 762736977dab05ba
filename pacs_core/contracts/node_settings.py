"""The settings of a node that every component may read."""

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from pacs_core.contracts.database import DatabaseSettings
from pacs_core.contracts.peer import DicomWebPeer, Peer
from pacs_core.contracts.timeouts import Timeouts


@frozen
class NodeSettings:
    """Settings that every component may read.

    Attributes
    ----------
    ae_title : str
        Of this node.
    host : str
        Address that it listens on.
    port : int
    data_directory : Path
        Where plugins may keep files, each in a folder of its own.
    peers : mapping of str to Peer
        Application entities, by name of the peer's table.
    dicomweb_peers : mapping of str to DicomWebPeer
        Servers of DICOMweb, likewise.
    timeouts : Timeouts
    default_character_set : tuple of str
        Specific Character Set that is assumed of datasets that name none, or lie, unless their
        sender has one of its own; empty for Latin-1.
    database : DatabaseSettings
    """

    ae_title: str = "PACS"
    host: str = "127.0.0.1"
    port: int = 11112
    data_directory: Path = Path("pacs-data")
    peers: Mapping[str, Peer] = field(factory=dict)
    timeouts: Timeouts = field(factory=Timeouts)
    default_character_set: tuple[str, ...] = ()
    database: DatabaseSettings = field(factory=DatabaseSettings)
    dicomweb_peers: Mapping[str, DicomWebPeer] = field(factory=dict)

    def peer(self, ae_title: str) -> Peer | None:
        """Return the configured peer with this AE title, or None."""
        return next((p for p in self.peers.values() if p.ae_title == ae_title), None)

    def character_set_of(self, ae_title: str) -> tuple[str, ...]:
        """Return the Specific Character Set to assume of datasets of an AE title."""
        peer = self.peer(ae_title)
        return (peer and peer.default_character_set) or self.default_character_set
