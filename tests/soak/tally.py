"""A small file that counts acknowledgements around kills over many runs."""

import json
from pathlib import Path

from attrs import define


@define
class Tally:
    """Kills of this run, and what had been acknowledged before each.

    Attributes
    ----------
    path : Path
        Of the file, which has the sums of all runs.
    kills, acknowledgements : int
        Of this run: an acknowledgement counts if the life in which it was given ended by SIGKILL.
    """

    path: Path
    kills: int = 0
    acknowledgements: int = 0

    def add(self, acknowledgements: int) -> None:
        """Count a kill."""
        self.kills += 1
        self.acknowledgements += acknowledgements

    def save(self, lost: int) -> dict[str, int]:
        """Add this run to the file, once its acknowledgements were looked for; return the sums."""
        try:
            sums = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            sums = {"runs": 0, "kills": 0, "acknowledgements": 0, "lost": 0}
        run = {"runs": 1, "kills": self.kills, "acknowledgements": self.acknowledgements}
        sums = {name: sums[name] + value for name, value in {**run, "lost": lost}.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.partial")
        partial.write_text(json.dumps(sums) + "\n", encoding="utf-8")
        partial.rename(self.path)
        return sums
