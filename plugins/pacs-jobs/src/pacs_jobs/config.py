"""The table ``[plugin.jobs]``."""

from attrs import field, frozen
from attrs.validators import ge, gt


@frozen
class JobsConfig:
    """``[plugin.jobs]``: how jobs are run.

    Attributes
    ----------
    poll : float
        Seconds after which a worker looks for jobs that other processes have enqueued.
    lease : float
        Seconds after which the job of a worker that is not heard of is begun again.
    keep_succeeded, keep_given_up : float
        Days after which jobs are forgotten that were done, or that failed or were cancelled.
    overdue : float
        Seconds for which a job may be due although the node has room for it; then ``/health/ready``
        says that the node does not do its work.
    given_up : int
        With how many jobs that were given up it says so, too; 0 for none: ``pacs status`` and the
        metrics tell of them, and everything else works.
    """

    poll: float = field(default=0.5, validator=gt(0))
    lease: float = field(default=60.0, validator=ge(3))
    keep_succeeded: float = field(default=7.0, validator=gt(0))
    keep_given_up: float = field(default=90.0, validator=gt(0))
    overdue: float = field(default=300.0, validator=gt(0))
    given_up: int = field(default=0, validator=ge(0))
