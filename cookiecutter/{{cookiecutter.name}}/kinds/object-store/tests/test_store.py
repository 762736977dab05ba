"""What is special about this store, and a node that uses it."""

import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pacs_core.association import Association
from pacs_core.contracts import StorageFullError
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import NodeThread

from {{ cookiecutter.__package }} import DirectoryStore
from {{ cookiecutter.__package }}.files import full_is_named

pytestmark = pytest.mark.anyio

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "index-sqlite", "sop-storage")
TABLES = {"archive": {"store": NAME}}


async def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    draft = tmp_path / "drafts" / "half"
    draft.parent.mkdir()
    draft.write_bytes(b"half")
    await DirectoryStore(tmp_path).start()
    assert not draft.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_has_one_name(number: int) -> None:
    with pytest.raises(StorageFullError), full_is_named():
        raise OSError(number, "no room")
    with pytest.raises(PermissionError), full_is_named():
        raise PermissionError(errno.EACCES, "not that")


async def test_a_node_keeps_its_objects_here(
    pacs_node: Callable[..., NodeThread],
    pacs_association: Callable[..., Awaitable[Association]],
    pacs_dataset: Callable[..., SampleDataset],
) -> None:
    node, dataset = pacs_node(TABLES, plugins=PLUGINS), pacs_dataset("CT")
    association = await pacs_association(node, dataset.sop_class_uid)
    response = await association.c_store(
        dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
    )
    assert response.status == 0x0000
    objects = node.data_directory / NAME / "objects"
    (path,) = objects.iterdir()
    assert path.name == f"{dataset.sop_instance_uid}.dcm"
    assert path.read_bytes().endswith(dataset.encode())


async def test_two_stores_of_this_type_have_directories_of_their_own(
    pacs_node: Callable[..., NodeThread],
    pacs_association: Callable[..., Awaitable[Association]],
    pacs_dataset: Callable[..., SampleDataset],
) -> None:
    kind = {"type": NAME}
    tables = {"archive": {"store": "second"}, "stores": {"first": kind, "second": kind}}
    node, dataset = pacs_node(tables, plugins=PLUGINS), pacs_dataset("CT")
    association = await pacs_association(node, dataset.sop_class_uid)
    await association.c_store(dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode())
    stores = node.data_directory / "stores"
    assert [path.name for path in (stores / "second" / "objects").iterdir()] == [
        f"{dataset.sop_instance_uid}.dcm"
    ]
    assert not (stores / "first").exists()
