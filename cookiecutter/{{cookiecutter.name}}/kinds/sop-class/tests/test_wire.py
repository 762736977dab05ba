"""A node with this plugin, asked over the network."""

from collections.abc import Awaitable, Callable

import pytest
from pacs_core.association import Association
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import NodeThread

from {{ cookiecutter.__package }} import AVAILABILITY

pytestmark = pytest.mark.anyio

NAME = "{{ cookiecutter.name }}"
ARCHIVE = ("sop-storage", "store-filesystem", "index-sqlite")
TABLES = {"plugin": {NAME: {"availability": "NEARLINE"}}}


@pytest.fixture
def node(pacs_node: Callable[..., NodeThread]) -> NodeThread:
    return pacs_node(TABLES, plugins=[NAME, *ARCHIVE])


@pytest.fixture
async def association(
    node: NodeThread,
    pacs_association: Callable[..., Awaitable[Association]],
    pacs_dataset: Callable[..., SampleDataset],
) -> Association:
    return await pacs_association(node, AVAILABILITY, pacs_dataset("CT").sop_class_uid)


@pytest.fixture
async def stored(
    association: Association, pacs_dataset: Callable[..., SampleDataset]
) -> SampleDataset:
    dataset = pacs_dataset("CT")
    response = await association.c_store(
        dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
    )
    assert response.status == 0x0000
    return dataset


async def test_a_stored_instance_is_available(
    association: Association, stored: SampleDataset
) -> None:
    response, found = await association.n_get(
        AVAILABILITY, stored.sop_instance_uid, as_dataset=True
    )
    assert response.status == 0x0000
    assert found is not None
    assert found.InstanceAvailability == "NEARLINE"
    assert found.StudyInstanceUID == stored.values["StudyInstanceUID"]


async def test_attributes_can_be_chosen(association: Association, stored: SampleDataset) -> None:
    wanted, unknown = tag_of("InstanceAvailability"), tag_of("PatientAge")
    response, found = await association.n_get(
        AVAILABILITY, stored.sop_instance_uid, (wanted, unknown), as_dataset=True
    )
    assert response.status == 0x0107
    assert response.attribute_identifier_list == (unknown,)
    assert found is not None
    assert [(element.keyword, element.value) for element in found] == [
        ("InstanceAvailability", "NEARLINE")
    ]


async def test_what_is_not_there(association: Association) -> None:
    response, found = await association.n_get(AVAILABILITY, "1.2.3")
    assert (response.status, found) == (0x0112, None)
