"""The de-identifier of a node: the contract, and what its processes survive."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import anyio
import pytest
from pacs_deidentify.config import DeidentifyConfig, ProfileConfig
from pacs_deidentify.service import ProcessDeidentifier

from pacs_core.contracts import DeidentificationRefusedError, Deidentifier, PluginInfo
from pacs_core.testing.deidentifier_contract import DeidentifierContract

from .samples import make_instance

CONFIG = DeidentifyConfig(profiles={"dates": ProfileConfig(("retain-modified-dates",))})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TestProcessDeidentifier(DeidentifierContract):
    def make(self, directory: Path) -> Deidentifier:
        return ProcessDeidentifier(PluginInfo("deidentify", directory), CONFIG)


async def content() -> AsyncIterator[bytes]:
    buffer = BytesIO()
    make_instance().save_as(buffer, enforce_file_format=True)
    yield buffer.getvalue()


def instances(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name in {"in", "out"}]


@pytest.mark.anyio
async def test_leftovers_hung_and_cancelled_work(tmp_path: Path) -> None:
    (tmp_path / "work" / "999999999" / "left").mkdir(parents=True)
    service = ProcessDeidentifier(PluginInfo("deidentify", tmp_path), CONFIG, 1, timeout=0.01)
    await service.start()
    try:
        assert not list((tmp_path / "work").iterdir())
        with pytest.raises(DeidentificationRefusedError, match="longer than"):
            async with service.deidentify(content()):
                pass
        service.pool.timeout = 60
        with anyio.move_on_after(0.01):
            async with service.deidentify(content()):
                await anyio.sleep_forever()
        async with service.deidentify(content(), "dates") as made:
            assert made.size > 1000
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
        assert instances(tmp_path) == []
    finally:
        await service.stop()
    assert not list((tmp_path / "work").iterdir())
