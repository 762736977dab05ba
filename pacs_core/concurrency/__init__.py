"""Task groups and streams; and threads, signals and relays on the way of every instance.

The latter are as cheap as they get: they work for the tasks of one asyncio event loop, and heed
anyio's cancellation. Elsewhere anyio's own are the better choice: they say more about what is
wrong.
"""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.concurrency.garbage import without_collection as without_collection
    from pacs_core.concurrency.pauses import common_moment as common_moment
    from pacs_core.concurrency.relay import Relay as Relay
    from pacs_core.concurrency.signal import Signal as Signal
    from pacs_core.concurrency.streams import (
        begin_iteration as begin_iteration,
        closing as closing,
        prepend as prepend,
        take as take,
    )
    from pacs_core.concurrency.task_groups import (
        cancelled_task_group as cancelled_task_group,
        is_failure as is_failure,
        task_group as task_group,
    )
    from pacs_core.concurrency.threads import Threads as Threads

import_on_demand(
    __name__,
    """
.garbage without_collection
.pauses common_moment
.relay Relay
.signal Signal
.streams begin_iteration closing prepend take
.task_groups cancelled_task_group is_failure task_group
.threads Threads
""",
)
