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
    """

    poll: float = field(default=0.5, validator=gt(0))
    lease: float = field(default=60.0, validator=ge(3))
    keep_succeeded: float = field(default=7.0, validator=gt(0))
    keep_given_up: float = field(default=90.0, validator=gt(0))
