"""Threads, locks and signals on the way of every instance, as cheap as they get.

They work for the tasks of one asyncio event loop, and heed anyio's cancellation. Elsewhere anyio's
own are the better choice: they say more about what is wrong.
"""

from pacs_core.concurrency.lock import Lock
from pacs_core.concurrency.relay import Relay
from pacs_core.concurrency.signal import Signal
from pacs_core.concurrency.threads import Threads

__all__ = ["Lock", "Relay", "Signal", "Threads"]
