"""The contract of service providers."""

import pytest
from pacs_core.contracts import Node, NodeSettings, ServiceProviderDescriptor, Setup
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.datasets import SampleDataset, SampleStudy
from pacs_core.testing.operations import memory_node
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

from {{ cookiecutter.__package }} import AVAILABILITY, Config, pacs_service_providers


class TestAvailability(ServiceProviderContract):
    @pytest.fixture
    def stored(self) -> SampleDataset:
        return SampleStudy().make("CT")

    @pytest.fixture
    def node(self, stored: SampleDataset) -> Node:
        return memory_node(datasets=[stored.encode()])

    @pytest.fixture
    def descriptor(self) -> ServiceProviderDescriptor:
        return pacs_service_providers(Setup(NodeSettings(), {Config: Config()}))[0]

    @pytest.fixture
    def examples(self, stored: SampleDataset) -> list[Example]:
        command = Command(
            field=CommandField.N_GET_RQ,
            message_id=1,
            requested_sop_class_uid=AVAILABILITY,
            requested_sop_instance_uid=stored.sop_instance_uid,
        )
        return [Example(command)]
