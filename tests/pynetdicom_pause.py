"""pynetdicom's requestors, without the race in which they lose a response.

A requestor pauses its own reactor before it sends a request, so that the reactor does not take the
response. The reactor says that it is paused just before it looks whether it has to be: if the
request is sent in between, and the response is quick, it takes that, reports an "unexpected"
message, and the requestor waits for it in vain. Here it says so only while it really waits.
"""

import threading
from typing import Any

from pynetdicom.association import Association


class _Checkpoint(threading.Event):
    """Tells whether somebody waits at it: who was let go is no such any more, awake or not."""

    @property
    def is_waited_at(self) -> bool:
        return bool(self._cond._waiters)  # type: ignore[attr-defined]


def _is_paused(self: Association) -> bool:
    if threading.current_thread() is self:  # a handler that sends something itself
        stated: bool = self.__dict__["_is_paused"]
        return stated
    return self._reactor_checkpoint.is_waited_at or not self.is_alive()


def mend() -> None:
    """Mend the class, for all associations to come."""
    begin = Association.__init__

    def initialize(self: Association, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self._reactor_checkpoint = _Checkpoint()
        self._reactor_checkpoint.set()

    Association.__init__ = initialize
    Association._is_paused = property(
        _is_paused, lambda self, value: self.__dict__.__setitem__("_is_paused", value)
    )
