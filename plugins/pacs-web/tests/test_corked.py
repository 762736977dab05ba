"""Pieces of a response go out together, in their order, and none is left behind."""

import asyncio

import pytest
from pacs_web.corked import CorkedTransport

pytestmark = pytest.mark.anyio


class Recorded:
    """A transport that keeps what it is told."""

    def __init__(self):
        self.told = []

    def writelines(self, pieces):
        self.told.append(b"".join(pieces))

    def close(self):
        self.told.append("close")

    def abort(self):
        self.told.append("abort")

    def get_extra_info(self, name):
        return name


@pytest.fixture
def recorded():
    return Recorded()


@pytest.fixture
def corked(recorded, anyio_backend):
    return lambda: CorkedTransport(recorded, asyncio.get_running_loop())


async def test_small_pieces_go_out_at_the_end_of_the_turn(corked, recorded):
    transport = corked()
    transport.write(b"head ")
    transport.write(b"")
    transport.write(b"body")
    assert recorded.told == []
    await asyncio.sleep(0)
    assert recorded.told == [b"head body"]
    transport.write(b"next")
    await asyncio.sleep(0)
    assert recorded.told == [b"head body", b"next"]


async def test_a_large_piece_takes_along_what_waits(corked, recorded):
    transport, large = corked(), bytes(100_000)
    transport.write(b"head")
    transport.write(memoryview(large))
    assert recorded.told == [b"head" + large]
    await asyncio.sleep(0)
    assert recorded.told == [b"head" + large]


async def test_many_small_pieces_do_not_pile_up(corked, recorded):
    transport = corked()
    for _ in range(100):
        transport.write(bytes(1000))
    assert sum(map(len, recorded.told)) > 80_000
    await asyncio.sleep(0)
    assert sum(map(len, recorded.told)) == 100_000


async def test_what_waits_goes_out_before_the_end(corked, recorded):
    transport = corked()
    transport.write(b"last")
    transport.close()
    assert recorded.told == [b"last", "close"]
    await asyncio.sleep(0)
    assert recorded.told == [b"last", "close"]


async def test_nothing_goes_out_once_it_is_aborted(corked, recorded):
    transport = corked()
    transport.write(b"lost")
    transport.abort()
    await asyncio.sleep(0)
    assert recorded.told == ["abort"]


async def test_all_else_is_that_of_the_transport(corked):
    assert corked().get_extra_info("peername") == "peername"
