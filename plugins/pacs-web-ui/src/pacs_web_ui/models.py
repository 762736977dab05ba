"""Models of the API that are not of studies."""

from attrs import frozen


@frozen
class SectionSummary:
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
    sections: tuple[SectionSummary, ...]


@frozen
class PeerSummary:
    """A configured peer."""

    name: str
    ae_title: str
    host: str
    port: int
