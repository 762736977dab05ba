"""Models of the API that are not of studies."""

from attrs import frozen


@frozen
class SectionStatus:
    """Routes of a plugin."""

    name: str
    title: str
    path: str


@frozen
class NodeSummary:
    """The node, and what its web server has."""

    ae_title: str
    host: str
    port: int
    sections: tuple[SectionStatus, ...]


@frozen
class PeerStatus:
    """A configured peer."""

    name: str
    ae_title: str
    host: str
    port: int


@frozen
class SendReport:
    """How many instances arrived, how many did not, and why."""

    sent: int
    failed: int
    reasons: tuple[str, ...] = ()
