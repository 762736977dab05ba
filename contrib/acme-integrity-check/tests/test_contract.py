"""The contract of service providers."""

import pytest
from pacs_core.contracts import Node, NodeSettings, ServiceProviderDescriptor, Setup
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encode_attributes, tag_of
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.datasets import SampleDataset, SampleStudy
from pacs_core.testing.operations import memory_node
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

from acme_integrity_check import (
    CHECK_STUDY,
    CHECKER,
    INTEGRITY_CHECK,
    Config,
    pacs_service_providers,
)


class TestIntegrityCheck(ServiceProviderContract):
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
            field=CommandField.N_ACTION_RQ,
            message_id=1,
            requested_sop_class_uid=INTEGRITY_CHECK,
            requested_sop_instance_uid=CHECKER,
            action_type_id=CHECK_STUDY,
            has_dataset=True,
        )
        information = {tag_of("StudyInstanceUID"): (str(stored.values["StudyInstanceUID"]),)}
        return [Example(command, encode_attributes(information, EXPLICIT_VR_LITTLE_ENDIAN))]
