"""Models of the API that are not of studies."""

from typing import Final

from attrs import evolve, frozen

_REASONS: Final = 20


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


@frozen
class UploadReport:
    """What became of the files in a zip file.

    Attributes
    ----------
    total : int
        Files in it.
    stored : int
        That the archive has now.
    known : int
        That it had before, with the same content.
    skipped : int
        That are no DICOM files.
    failed : int
    reasons : tuple of str
        Why files failed, with their names; 20 at most.
    """

    total: int = 0
    stored: int = 0
    known: int = 0
    skipped: int = 0
    failed: int = 0
    reasons: tuple[str, ...] = ()

    def failing(self, name: str, reason: str) -> "UploadReport":
        """Return the report with another failure."""
        reasons = (*self.reasons, f"{name}: {reason}")[:_REASONS]
        return evolve(self, failed=self.failed + 1, reasons=reasons)
