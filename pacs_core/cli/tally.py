"""What became of many files: counts, and each failure as it happens."""

from collections import Counter
from pathlib import Path

from attrs import define, field

from pacs_core.cli.errors import FAILURE
from pacs_core.cli.files import DicomFile, Found, Skipped, Unusable
from pacs_core.cli.output import complain, count, say
from pacs_core.cli.progress import Advance


@define
class Tally:
    """Counts outcomes of files and moves the progress bar.

    Attributes
    ----------
    advance : callable
    outcomes : Counter of str
        By outcome, as the summary names them.
    """

    advance: Advance
    outcomes: Counter[str] = field(factory=Counter)

    def done(self, outcome: str) -> None:
        """Count a file."""
        self.outcomes[outcome] += 1
        self.advance(1)

    def failed(self, path: Path, reason: str) -> None:
        """Count a file and say why it failed."""
        self.done("failed")
        complain(f"{path}: {reason}")

    def warned(self, path: Path, outcome: str, warning: str) -> None:
        """Count a file that came through, and say what the peer had to remark."""
        self.done(outcome)
        complain(f"{path}: {outcome}, with a warning: {warning}")

    def sift(self, found: Found) -> DicomFile | None:
        """Return a file that is of use; count any other."""
        if isinstance(found, DicomFile):
            return found
        if isinstance(found, Unusable):
            self.failed(found.path, found.reason)
        elif isinstance(found, Skipped):
            self.done("skipped")
        return None

    def summarize(self, done: str) -> int:
        """Print the counts, `done` first; return the exit code."""
        others = {name: n for name, n in sorted(self.outcomes.items()) if name != done}
        parts = [f"{count(self.outcomes[done], 'instance')} {done}"]
        say(", ".join([*parts, *(f"{n} {name}" for name, n in others.items())]))
        return FAILURE if self.outcomes["failed"] else 0
