"""The table ``[plugin.audit-json]``."""

from pathlib import Path
from typing import Final

from attrs import field, frozen, validators

STANDARD_OUTPUT: Final = "-"


@frozen
class AuditJsonConfig:
    """Where events are recorded, and how much of it is kept.

    Attributes
    ----------
    path : str
        File that lines are appended to; ``"-"`` means standard output, and empty
        ``<data_directory>/audit/audit.jsonl``.
    max_bytes : int
        Size in bytes from which the file is set aside and a new one begun; 0 means never.
    backups : int
        How many files that were set aside are kept; 0 means all.
    required : bool
        Whether an operation that cannot be recorded is not acknowledged.
    fsync : bool
        Whether events survive a power failure once they count as recorded.

    Raises
    ------
    ValueError
        A number is negative.
    """

    path: str = ""
    max_bytes: int = field(default=100 * 1024 * 1024, validator=validators.ge(0))
    backups: int = field(default=0, validator=validators.ge(0))
    required: bool = False
    fsync: bool = False


def path_of(config: AuditJsonConfig, data_directory: Path) -> Path:
    """Return the file that a configuration means, unless it means standard output."""
    path = Path(config.path) if config.path else data_directory / "audit" / "audit.jsonl"
    return path.absolute()
