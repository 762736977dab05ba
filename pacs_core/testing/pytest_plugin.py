"""Fixtures that pytest finds in every environment where pacs-core is installed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

    from pacs_core.association import Association
    from pacs_core.testing.datasets import SampleDataset
    from pacs_core.testing.node import NodeProcess, NodeThread

NodeT = TypeVar("NodeT")


@pytest.fixture
def pacs_node(tmp_path: Path) -> "Iterator[Callable[..., NodeThread]]":
    """Start nodes in threads of this process; they stop when the test ends.

    Returns
    -------
    callable
        ``pacs_node(tables=None, data_directory=tmp_path / "data", plugins=None)``, see
        :func:`pacs_core.testing.node.node_thread`. With ``plugins=["sop-storage", ...]`` the node
        has these only, whatever else is installed.

    Example
    -------
    ::

        def test_greets(pacs_node):
            node = pacs_node({"plugin": {"greeter": {"greeting": "hi"}}}, plugins=["greeter"])
    """
    from pacs_core.testing.node import node_thread

    yield from _starter(node_thread, tmp_path)


@pytest.fixture
def pacs_process(tmp_path: Path) -> "Iterator[Callable[..., NodeProcess]]":
    """Start ``pacs serve`` processes; they are killed when the test ends.

    Returns
    -------
    callable
        As that of :func:`pacs_node`, see :func:`pacs_core.testing.node.node_process`.
    """
    from pacs_core.testing.node import node_process

    yield from _starter(node_process, tmp_path)


def _starter(
    run: Callable[..., AbstractContextManager[NodeT]], tmp_path: Path
) -> Iterator[Callable[..., NodeT]]:
    with ExitStack() as stack:

        def start(
            tables: dict[str, dict[str, object]] | None = None,
            data_directory: Path = tmp_path / "data",
            plugins: "Collection[str | EntryPoint] | None" = None,
        ) -> NodeT:
            return stack.enter_context(run(data_directory, tables, plugins=plugins))

        yield start


@pytest.fixture
async def pacs_association(
    pacs_node: object, anyio_backend: Any
) -> "AsyncIterator[Callable[..., Awaitable[Association]]]":
    """Associate with nodes; the associations are released when the test ends.

    Returns
    -------
    async callable
        ``await pacs_association(node, *sop_class_uids)`` proposes each SOP class in every
        uncompressed transfer syntax; instead of a UID it takes a
        :class:`~pacs_core.association.Proposal` as well.

    Example
    -------
    ::

        async def test_echo(pacs_node, pacs_association):
            association = await pacs_association(pacs_node(), "1.2.840.10008.1.1")
            assert (await association.c_echo()).status == 0x0000
    """
    from pacs_core.association import Proposal, connect

    async with AsyncExitStack() as stack:

        async def associate(
            node: "NodeThread | NodeProcess", *offers: str | Proposal
        ) -> "Association":
            proposals = [Proposal(each) if isinstance(each, str) else each for each in offers]
            return await stack.enter_async_context(connect(node.peer, proposals))

        yield associate


@pytest.fixture
def pacs_dataset() -> "Callable[..., SampleDataset]":
    """Make small valid datasets of any modality.

    Returns
    -------
    callable
        ``pacs_dataset("CT", PatientID="P1")``: every call makes another instance, all of one
        modality are in one series, all series in one study; keywords override attributes. See
        :mod:`pacs_core.testing.datasets`.

    Example
    -------
    ::

        async def test_store(pacs_node, pacs_association, pacs_dataset):
            ct = pacs_dataset("CT")
            association = await pacs_association(pacs_node(), ct.sop_class_uid)
            response = await association.c_store(
                ct.sop_class_uid, ct.sop_instance_uid, ct.encode()
            )
            assert response.status == 0x0000
    """
    from pacs_core.testing.datasets import SampleStudy

    return SampleStudy().make
