"""Runs the asynchronous part of a command."""

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar, TypeVarTuple

import anyio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def run_async(function: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
    """Run a function in an event loop, uvloop's where that is installed."""
    options = {"use_uvloop": find_spec("uvloop") is not None}
    return anyio.run(function, *arguments, backend_options=options)
