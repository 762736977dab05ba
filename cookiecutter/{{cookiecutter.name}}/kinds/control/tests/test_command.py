"""The command, as a user runs it beside a node."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import NodeProcess, node_process

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "sop-storage", "store-filesystem", "index-sqlite")


async def store(node: NodeProcess, title: str, datasets: list[SampleDataset]) -> None:
    """Store some instances under an AE title."""
    proposals = [Proposal(datasets[0].sop_class_uid)]
    async with connect(node.peer, proposals, calling_ae_title=title) as association:
        for each in datasets:
            await association.c_store(each.sop_class_uid, each.sop_instance_uid, each.encode())


def test_senders_are_counted(
    tmp_path: Path,
    pacs_dataset: Callable[..., SampleDataset],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*arguments: str) -> list[list[str]]:
        code = main([NAME, *arguments, "--config", str(tmp_path / "pacs.toml")])
        captured = capsys.readouterr()
        assert (code, captured.err) == (0, "")
        return [line.split() for line in captured.out.splitlines()]

    with node_process(tmp_path, {"node": {"workers": 2}}, plugins=PLUGINS) as node:
        anyio.run(store, node, "CT1", [pacs_dataset("CT") for _ in range(3)])
        anyio.run(store, node, "MR1", [pacs_dataset("MR")])
        with anyio.from_thread.start_blocking_portal() as portal:
            portal.call(anyio.sleep, 0.5)  # events are told after the instance is acknowledged
        assert run() == [["CT1", "3"], ["MR1", "1"]]
        assert run("MR1") == [["MR1", "1"]]


def test_without_a_node_the_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "pacs.toml"
    config.write_text(f'[node]\ndata_directory = "{tmp_path}"\n')
    assert main([NAME, "--config", str(config)]) == 1
    assert "no node runs" in capsys.readouterr().err
