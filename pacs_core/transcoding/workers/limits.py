"""Limits of codec worker processes."""

import math
import os

from attrs import field, frozen
from attrs.validators import and_, ge, gt, lt, optional

_seconds = and_(gt(0.0), lt(math.inf))


@frozen
class WorkerLimits:
    """How many processes codecs run in, and what one frame may cost.

    Attributes
    ----------
    workers : int or None
        Processes at most; None is one for each core. They are started when they are needed.
    timeout : float
        Seconds for a frame, after which its process is killed.
    cpu_time : float
        Seconds of processor time for a frame.
    memory : int
        Bytes of address space of a process, with the codec libraries in it.
    idle : float
        Seconds without work after which a process is ended.
    confine : bool
        Whether a process has no network and no files but code, as far as the system can see to it.
    """

    workers: int | None = field(default=None, validator=optional(ge(1)))
    timeout: float = field(default=60.0, validator=_seconds)
    cpu_time: float = field(default=60.0, validator=_seconds)
    memory: int = field(default=2 * 1024**3, validator=ge(256 * 1024**2))
    idle: float = field(default=60.0, validator=_seconds)
    confine: bool = True

    @property
    def processes(self) -> int:
        """The number of processes."""
        return self.workers or os.cpu_count() or 1
