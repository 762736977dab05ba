"""Counts of what became of many files, and each failure as it happens."""

from collections import Counter
from pathlib import Path

from attrs import define, field

from pacs_core.cli.errors import FAILURE, complain_of_nothing
from pacs_core.cli.files import DicomFile, Found, Skipped, Unusable
from pacs_core.cli.output import complain, count, say
from pacs_core.cli.progress import Advance


@define
class FileCounts:
    """Counts outcomes of files and moves the progress bar.

    Attributes
    ----------
    advance : callable
    verbose : bool
        Whether files that are skipped are named.
    outcomes : Counter of str
        By outcome, as the summary names them.
    exit_code : int
        That of the worst failure.
    """

    advance: Advance
    verbose: bool = False
    outcomes: Counter[str] = field(factory=Counter)
    exit_code: int = 0

    def add(self, outcome: str) -> None:
        """Count a file."""
        self.outcomes[outcome] += 1
        self.advance(1)

    def fail(self, path: Path, reason: str, exit_code: int = FAILURE) -> None:
        """Count a file and say why it failed."""
        self.add("failed")
        self.exit_code = max(self.exit_code, exit_code)
        complain(f"{path}: {reason}")

    def warn(self, path: Path, outcome: str, warning: str) -> None:
        """Count a file that came through, and say what the peer had to remark."""
        self.add(outcome)
        complain(f"{path}: {outcome}, with a warning: {warning}")

    def take_usable(self, found: Found) -> DicomFile | None:
        """Return a file that is of use; count any other."""
        if isinstance(found, DicomFile):
            return found
        if isinstance(found, Unusable):
            self.fail(found.path, found.reason)
        elif isinstance(found, Skipped):
            self.add("skipped")
            name_skipped(found, self.verbose)
        return None

    def summarize(self, done: str) -> int:
        """Print the counts, `done` first; return the exit code."""
        others = {name: n for name, n in sorted(self.outcomes.items()) if name != done}
        parts = [f"{count(self.outcomes[done], 'instance')} {done}"]
        say(", ".join([*parts, *(f"{n} {name}" for name, n in others.items())]))
        if self.exit_code:
            return self.exit_code
        if not sum(self.outcomes.values()) - self.outcomes["skipped"]:
            return complain_of_skipped(self.outcomes["skipped"], self.verbose)
        return 0


def name_skipped(found: Skipped, verbose: bool) -> None:
    """Say that a file was skipped, and why, if that is asked for or odd."""
    if verbose or found.is_odd:
        complain(f"{found.path}: skipped: {found.reason}")


def complain_of_skipped(skipped: int, verbose: bool) -> int:
    """Say that no file is of use; return the exit code."""
    hint = "; --verbose names what was skipped" if skipped and not verbose else ""
    return complain_of_nothing(f"no DICOM file was found{hint}")
