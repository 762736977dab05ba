"""Runs the asynchronous part of a command."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import anyio

from pacs_core.concurrency.event_loops import loop_options

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def run_async(function: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
    """Run a function in an event loop of the kind that nodes have."""
    return anyio.run(function, *arguments, backend_options=loop_options())
