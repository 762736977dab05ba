"""Fixtures that pytest finds in every environment where pacs-core is installed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from pacs_core.testing.node import NodeProcess, NodeThread

NodeT = TypeVar("NodeT")


@pytest.fixture
def pacs_node(tmp_path: Path) -> "Iterator[Callable[..., NodeThread]]":
    """Start nodes in threads of this process; they stop when the test ends.

    Returns
    -------
    callable
        ``pacs_node(tables=None, data_directory=tmp_path / "data")``, see
        :func:`pacs_core.testing.node.node_thread`.
    """
    from pacs_core.testing.node import node_thread

    yield from _starter(node_thread, tmp_path)


@pytest.fixture
def pacs_process(tmp_path: Path) -> "Iterator[Callable[..., NodeProcess]]":
    """Start ``pacs serve`` processes; they are killed when the test ends."""
    from pacs_core.testing.node import node_process

    yield from _starter(node_process, tmp_path)


def _starter(
    run: Callable[..., AbstractContextManager[NodeT]], tmp_path: Path
) -> Iterator[Callable[..., NodeT]]:
    with ExitStack() as stack:

        def start(
            tables: dict[str, dict[str, object]] | None = None,
            data_directory: Path = tmp_path / "data",
        ) -> NodeT:
            return stack.enter_context(run(data_directory, tables))

        yield start
