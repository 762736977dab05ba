"""What is special about this filter, and a node that asks it."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from pacs_core.association import Proposal, connect
from pacs_core.contracts import Accept, Edit, Origin, Reject
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.ingest_filter_contract import incoming_header
from pacs_core.testing.node import node_thread

from {{ cookiecutter.__package }} import Config, Issuer

pytestmark = pytest.mark.anyio

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "sop-storage", "store-filesystem", "index-sqlite")
ISSUER = tag_of("IssuerOfPatientID")
CT = Origin("DIMSE", "CT1")


async def test_the_issuer_is_added_where_it_is_missing() -> None:
    header = incoming_header(values={"PatientID": "17"})
    verdict = await Issuer(Config(issuers={"CT1": "HOSPITAL"})).judge(header, CT)
    assert verdict == Edit({ISSUER: ("HOSPITAL",)}, reason="ADD")


@pytest.mark.parametrize("values", [{"IssuerOfPatientID": "OTHER"}, {"PatientID": ""}])
async def test_nothing_is_added_to_what_needs_none(values: dict[str, str]) -> None:
    header = incoming_header(values={"PatientID": "17", **values})
    assert await Issuer(Config(issuers={"CT1": "HOSPITAL"})).judge(header, CT) == Accept()


@pytest.mark.parametrize("strict", [False, True])
async def test_others_are_refused_if_so_configured(strict: bool) -> None:
    header = incoming_header(values={"PatientID": "17"})
    verdict = await Issuer(Config(strict=strict)).judge(header, CT)
    assert isinstance(verdict, Reject) is strict


def test_a_node_says_that_it_has_coerced(
    tmp_path: Path, pacs_dataset: Callable[..., SampleDataset]
) -> None:
    dataset = pacs_dataset("CT", PatientID="17")
    tables = {"plugin": {NAME: {"issuers": {"CT1": "HOSPITAL"}}}}

    async def store() -> int | None:
        contexts = [Proposal(dataset.sop_class_uid)]
        async with connect(node.peer, contexts, calling_ae_title="CT1") as association:
            response = await association.c_store(
                dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
            )
        return response.status

    with node_thread(tmp_path, tables, plugins=PLUGINS) as node:
        assert anyio.run(store) == 0xB000
    (path,) = (tmp_path / "objects").rglob("*.dcm")
    assert b"HOSPITAL" in path.read_bytes()
