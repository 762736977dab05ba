"""Task groups and streams; and threads, signals and relays on the way of every instance.

The latter are as cheap as they get: they work for the tasks of one asyncio event loop, and heed
anyio's cancellation. Elsewhere anyio's own are the better choice: they say more about what is
wrong.
"""

from pacs_core.concurrency.pauses import common_moment
from pacs_core.concurrency.relay import Relay
from pacs_core.concurrency.signal import Signal
from pacs_core.concurrency.streams import begin_iteration, closing, take
from pacs_core.concurrency.task_groups import cancelled_task_group, is_failure, task_group
from pacs_core.concurrency.threads import Threads

__all__ = [
    "Relay",
    "Signal",
    "Threads",
    "begin_iteration",
    "cancelled_task_group",
    "closing",
    "common_moment",
    "is_failure",
    "take",
    "task_group",
]
