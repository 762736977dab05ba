"""The table ``[plugin.audit-json]``."""

import math
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
    chain : bool
        Whether each record carries the digest of the one before, and where the chain ends is
        signed now and then; not on standard output.
    key : str
        PEM file with the Ed25519 key that signs; empty means ``audit.key`` beside the file of
        events. It is made if it is not there.
    checkpoints : str
        File with what was signed; empty means that of events with the suffix ``.checkpoints``.
    checkpoint_seconds : float
        Seconds after which a chain that has grown is signed.

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
    chain: bool = True
    key: str = ""
    checkpoints: str = ""
    checkpoint_seconds: float = field(
        default=60.0, validator=validators.and_(validators.gt(0.0), validators.lt(math.inf))
    )


def path_of(config: AuditJsonConfig, data_directory: Path) -> Path:
    """Return the file that a configuration means, unless it means standard output."""
    path = Path(config.path) if config.path else data_directory / "audit" / "audit.jsonl"
    return path.absolute()


def key_of(config: AuditJsonConfig, path: Path) -> Path:
    """Return the file of the key that signs the trail at a path."""
    return Path(config.key).absolute() if config.key else path.with_name("audit.key")


def checkpoints_of(config: AuditJsonConfig, path: Path) -> Path:
    """Return the file with the checkpoints of the trail at a path."""
    if config.checkpoints:
        return Path(config.checkpoints).absolute()
    return path.with_name(path.name + ".checkpoints")
