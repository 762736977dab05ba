"""The table ``[plugin.hl7]``."""

import codecs
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

from attrs import field, frozen
from attrs.validators import and_, ge, gt, lt

from pacs_core.contracts import RELOADABLE, ClientTls, ServerTls
from pacs_hl7.notices import template_problems
from pacs_hl7.orders import mapping_problems


@frozen
class Hl7Peer:
    """A system that takes messages: a table ``[plugin.hl7.peers.NAME]``.

    Attributes
    ----------
    host : str
    port : int
    timeout : float
        Seconds to connect, and for each answer.
    tls : ClientTls or None
        How the connection is secured, as of ``[peers.NAME.tls]``; without it, it is not.
    studies : bool
        Whether it is told of studies that are complete.
    template : Path or None
        File with the message that tells it; without one it is an OMI^O23.
    """

    host: str
    port: int = field(default=2575, validator=and_(gt(0), lt(65536)))
    timeout: float = field(default=30.0, validator=gt(0))
    tls: ClientTls | None = None
    studies: bool = False
    template: Path | None = None


@frozen
class Hl7Config:
    """Where HL7 messages are taken, from whom, and what their patient identifiers mean.

    Attributes
    ----------
    host : str
    port : int or None
        By convention 2575; 0 takes a free one, and without it nothing listens.
    tls : ServerTls or None
        How connections are secured, as of ``[network.tls]``; without it, they are not.
    allow : tuple of str
        Addresses, or networks (``10.1.0.0/16``), that may connect; empty for all.
    domains : mapping of str to str
        Issuer of Patient ID by assigning authority, the namespace or the universal ID in PID-3.4;
        an empty issuer is that of images which have none. An authority that is not named is itself
        the issuer.
    mapping : mapping of str to str
        Where orders have an attribute of the worklist, by keyword: places such as ``OBR-18`` or
        ``PV1-8.2``, the first choice first. ``ScheduledProcedureStepStart`` is date and time.
    reports : bool
        Whether reports (ORU^R01) become documents of their studies.
    character_set : str
        Python's name of the character set of messages without MSH-18.
    max_message : int
        Bytes of a message.
    max_connections, connections_per_address : int
    timeout : float
        Seconds in which a message that has begun must end, and an answer be taken.
    keep : float
        Days after which messages are forgotten, but for those that failed.
    peers : mapping of str to Hl7Peer
        Systems that are sent messages, by name.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    tls: ServerTls | None = field(default=None, metadata=RELOADABLE)
    allow: tuple[str, ...] = field(default=(), metadata=RELOADABLE)
    domains: Mapping[str, str] = field(factory=dict, metadata=RELOADABLE)
    mapping: Mapping[str, str] = field(factory=dict, metadata=RELOADABLE)
    reports: bool = field(default=False, metadata=RELOADABLE)
    character_set: str = field(default="utf-8", metadata=RELOADABLE)
    max_message: int = field(default=1 << 20, validator=ge(1024), metadata=RELOADABLE)
    max_connections: int = field(default=64, validator=ge(1), metadata=RELOADABLE)
    connections_per_address: int = field(default=16, validator=ge(1), metadata=RELOADABLE)
    timeout: float = field(default=60.0, validator=gt(0), metadata=RELOADABLE)
    keep: float = field(default=90.0, validator=ge(0), metadata=RELOADABLE)
    peers: Mapping[str, Hl7Peer] = field(factory=dict, metadata=RELOADABLE)

    def problems(self) -> list[str]:
        """Return what is wrong beyond types."""
        wrong = []
        for name in self.allow:
            try:
                ip_network(name)
            except ValueError as error:
                wrong.append(f"allow: {error}")
        try:
            codecs.lookup(self.character_set)
        except LookupError:
            wrong.append(f"character_set: {self.character_set!r} is no character set of Python's")
        for name, peer in self.peers.items():
            wrong += [f"peers.{name}.{each}" for each in template_problems(peer.template)]
        return [*wrong, *mapping_problems(self.mapping)]
