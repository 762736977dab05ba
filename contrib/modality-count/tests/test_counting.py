"""Counting, by the handler alone and in nodes that are killed."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.contracts import InstanceEventKind
from pacs_core.testing.datasets import SampleDataset, SampleStudy
from pacs_core.testing.event_handler_contract import instance_event
from pacs_core.testing.node import NodeProcess, NodeThread, node_thread

from modality_count import Config, Counts, ModalityCounter

pytestmark = pytest.mark.anyio

PLUGINS = ("modality-count", "sop-storage", "store-filesystem", "index-sqlite")


@pytest.fixture
async def counter(tmp_path: Path) -> ModalityCounter:
    counter = ModalityCounter(Counts(tmp_path), Config())
    await counter.start()
    return counter


async def test_only_what_is_stored_counts(counter: ModalityCounter, tmp_path: Path) -> None:
    for kind in (InstanceEventKind.RECEIVED, InstanceEventKind.STORED):
        for modality in ("CT", "CT", "MR"):
            await counter.handle(instance_event(kind, modality))
    assert Counts(tmp_path).read() == [("CT", 2), ("MR", 1)]


async def test_what_is_deleted_counts_no_longer(counter: ModalityCounter, tmp_path: Path) -> None:
    for kind in (InstanceEventKind.STORED, InstanceEventKind.DELETED):
        await counter.handle(
            instance_event(kind, values={"StudyInstanceUID": "1.2", "SOPInstanceUID": "1.2.3"})
        )
        assert Counts(tmp_path).read() == [("CT", 1)] * (kind is InstanceEventKind.STORED)


async def test_an_event_that_comes_again_counts_once(
    counter: ModalityCounter, tmp_path: Path
) -> None:
    event = instance_event(InstanceEventKind.STORED)
    await counter.handle(event)
    await counter.handle(event)
    assert Counts(tmp_path).read() == [("CT", 1)]


@pytest.mark.parametrize(
    ("modality", "counted"),
    [("", "(none)"), ("C\nT", "C?T"), ("\udcff", "?"), ("X" * 99, "X" * 16)],
)
async def test_modalities_that_are_none(
    counter: ModalityCounter, tmp_path: Path, modality: str, counted: str
) -> None:
    await counter.handle(instance_event(InstanceEventKind.STORED, values={"Modality": modality}))
    assert Counts(tmp_path).read() == [(counted, 1)]


async def store(node: NodeThread | NodeProcess, *datasets: SampleDataset) -> None:
    proposals = [Proposal(uid) for uid in {each.sop_class_uid for each in datasets}]
    async with connect(node.peer, proposals) as association:
        for each in datasets:
            response = await association.c_store(
                each.sop_class_uid, each.sop_instance_uid, each.encode()
            )
            assert response.status == 0x0000


def printed(directory: Path, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    capsys.readouterr()
    assert main(["modality-count", "--data", str(directory)]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_nothing_was_counted_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(tmp_path, capsys) == []
    assert not list(tmp_path.iterdir())


def test_the_command_prints_what_a_node_has_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = SampleStudy()
    with node_thread(tmp_path, plugins=PLUGINS) as node:
        anyio.run(store, node, *map(study.make, ("CT", "MR", "CT", "PDF")))
    assert printed(tmp_path, capsys) == [["CT", "2"], ["DOC", "1"], ["MR", "1"]]


def test_the_file_is_sound_after_a_node_was_killed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    pacs_process: Callable[..., NodeProcess],
) -> None:
    """SIGKILL may take what was not counted yet, never more than that, and never the file."""
    study = SampleStudy()
    counted = 0
    for round_number in range(1, 4):
        node = pacs_process(data_directory=tmp_path, plugins=PLUGINS)
        anyio.run(store, node, *[study.make("CT") for _ in range(20)])
        node.kill()
        ((_, count),) = printed(tmp_path, capsys)
        assert counted <= int(count) <= 20 * round_number
        counted = int(count)
    with node_thread(tmp_path, plugins=PLUGINS) as last:
        anyio.run(store, last, study.make("CT"))
    assert printed(tmp_path, capsys) == [["CT", str(counted + 1)]]
