"""Event loops that nodes and commands run in."""

import asyncio
import sys

import pytest

from pacs_core.cli.running import run_async
from pacs_core.concurrency import event_loops
from pacs_core.concurrency.event_loops import event_loop

uvloop = pytest.importorskip("uvloop")


async def running_loop():
    return type(asyncio.get_running_loop())


@pytest.fixture(autouse=True)
def _asked_anew():
    event_loops._installed.cache_clear()
    yield
    event_loops._installed.cache_clear()


@pytest.mark.parametrize("value", ["", "0"])
def test_uvloop_is_used_where_it_is_installed(monkeypatch, value):
    monkeypatch.setenv("PACS_NO_UVLOOP", value)
    assert str(event_loop()) == f"event loop of uvloop: uvloop {uvloop.__version__}"
    assert run_async(running_loop) is uvloop.Loop


def test_the_environment_turns_it_off(monkeypatch):
    monkeypatch.setenv("PACS_NO_UVLOOP", "1")
    assert str(event_loop()) == "event loop of asyncio: PACS_NO_UVLOOP is set"
    assert run_async(running_loop) is not uvloop.Loop


def test_asyncio_serves_without_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert str(event_loop()) == "event loop of asyncio: uvloop is not installed"
    assert run_async(running_loop) is not uvloop.Loop
