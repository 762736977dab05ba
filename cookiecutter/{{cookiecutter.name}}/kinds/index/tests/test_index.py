"""What is special about this index, and a node that uses it."""

from collections.abc import Awaitable, Callable

import pytest
from pacs_core.association import Association
from pacs_core.contracts import Level
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import NodeThread

from {{ cookiecutter.__package }} import Catalog, Config

pytestmark = pytest.mark.anyio

NAME = "{{ cookiecutter.name }}"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PLUGINS = (NAME, "sop-storage", "sop-query-retrieve", "store-filesystem")
TABLES = {
    "archive": {"index": NAME},
    "plugin": {NAME: {"keep": ["KVP"]}},
}


def test_further_attributes_belong_to_images() -> None:
    catalog = Catalog(["KVP"])
    assert tag_of("KVP") in catalog.wanted & catalog.searchable(Level.IMAGE)
    assert tag_of("KVP") not in catalog.searchable(Level.SERIES)


def test_a_keyword_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="KVQ"):
        Config(keep=("KVQ",))


async def test_a_node_finds_what_it_has_stored(
    pacs_node: Callable[..., NodeThread],
    pacs_association: Callable[..., Awaitable[Association]],
    pacs_dataset: Callable[..., SampleDataset],
) -> None:
    dataset = pacs_dataset("CT", KVP="120")
    node = pacs_node(TABLES, plugins=PLUGINS)
    association = await pacs_association(node, dataset.sop_class_uid, STUDY_ROOT_FIND)
    await association.c_store(dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode())
    wanted = {
        "QueryRetrieveLevel": "IMAGE",
        "StudyInstanceUID": str(dataset.values["StudyInstanceUID"]),
        "SeriesInstanceUID": str(dataset.values["SeriesInstanceUID"]),
    }
    identifier = {tag_of(word): (value,) for word, value in wanted.items()}
    find = association.c_find(STUDY_ROOT_FIND, {**identifier, tag_of("KVP"): ()})
    answers = [answer async for _, answer in find if answer]
    assert [answer[tag_of("KVP")] for answer in answers] == [("120",)]
