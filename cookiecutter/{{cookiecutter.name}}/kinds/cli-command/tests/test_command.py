"""The command, as a user runs it."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import NodeThread, node_thread

NAME = "{{ cookiecutter.name }}"
ARCHIVE = ("sop-storage", "store-filesystem", "index-sqlite")


async def store(node: NodeThread, *modalities: str) -> None:
    """Store an instance of each modality, each in a study of its own."""
    datasets = [SampleStudy().make(modality) for modality in modalities]
    proposals = [Proposal(uid) for uid in {each.sop_class_uid for each in datasets}]
    async with connect(node.peer, proposals) as association:
        for each in datasets:
            await association.c_store(each.sop_class_uid, each.sop_instance_uid, each.encode())


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[list[str]]]:
    """Return a function that runs the command over an archive, and splits what it prints."""

    def run_command(*modalities: str, order: str = "modality") -> list[list[str]]:
        tables = {"plugin": {NAME: {"order": order}}}
        with node_thread(tmp_path, tables, plugins=[NAME, *ARCHIVE]) as node:
            anyio.run(store, node, *modalities)
        code = main([NAME, "--config", str(tmp_path / "pacs.toml")])
        captured = capsys.readouterr()
        assert (code, captured.err) == (0, "")
        return [line.split() for line in captured.out.splitlines()]

    return run_command


def test_series_are_counted(run: Callable[..., list[list[str]]]) -> None:
    assert run("MR", "CT", "MR") == [["CT", "1"], ["MR", "2"]]


def test_the_order_is_configured(run: Callable[..., list[list[str]]]) -> None:
    assert run("MR", "CT", "MR", order="count") == [["MR", "2"], ["CT", "1"]]


def test_pacs_lists_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert "Count series by modality." in capsys.readouterr().out
