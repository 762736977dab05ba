"""What is taken from the user's module, and what is refused."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pacs_core.contracts import Node, NodeSettings, ServiceProviderDescriptor, Setup
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encode_dataset
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.operations import MemoryDataset, MemoryOperation, answer, memory_node
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract
from pydicom import Dataset
from pynetdicom import AE, evt

from pacs_pynetdicom_handlers import HandlersConfig, pacs_check, pacs_service_providers

pytestmark = pytest.mark.anyio

VERIFICATION, CT = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"
FIND, GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"
PRIVATE = "2.25.221034958238457029384570293845"


def setup(**values: object) -> Setup:
    return Setup(NodeSettings(), {HandlersConfig: HandlersConfig(**values)})  # type: ignore[arg-type]


@pytest.fixture
def module() -> Iterator[ModuleType]:
    made = ModuleType("acme_handlers")
    sys.modules["acme_handlers"] = made
    yield made
    del sys.modules["acme_handlers"]


def provided(**values: object) -> ServiceProviderDescriptor:
    (descriptor,) = pacs_service_providers(setup(module="acme_handlers", **values))
    return descriptor


def handle(event: evt.Event) -> int:
    return 0x0000


def test_without_a_table_there_is_nothing() -> None:
    assert pacs_service_providers(setup()) == []
    assert pacs_check(setup()) == []


def test_storage_is_what_store_and_get_are_for(module: ModuleType) -> None:
    """PS3.7 D.3.3.4: who only serves C-GET is SCU of storage, and its requestor SCP."""
    module.handlers = [(evt.EVT_C_STORE, handle)]  # type: ignore[attr-defined]
    support = provided().sop_classes
    assert (support[CT].scp, support[CT].scu) == (True, False)
    assert VERIFICATION not in support
    module.handlers = lambda: [(evt.EVT_C_GET, handle)]  # type: ignore[attr-defined]
    support = provided().sop_classes
    assert (support[CT].scp, support[CT].scu) == (False, True)
    assert (support[GET].scp, support[GET].scu) == (True, False)
    assert FIND not in support


def test_the_config_or_the_ae_says_for_which_sop_classes(module: ModuleType) -> None:
    module.handlers = [(evt.EVT_N_CREATE, handle)]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="sop_classes"):
        provided()
    support = provided(sop_classes=(PRIVATE, "ModalityPerformedProcedureStep")).sop_classes
    assert list(support) == [PRIVATE, "1.2.840.10008.3.1.2.3.3"]
    with pytest.raises(ValueError, match="'NoSuchThing'"):
        provided(sop_classes=("NoSuchThing",))
    ae = module.ae = AE()  # type: ignore[attr-defined]
    ae.add_supported_context(CT, "1.2.840.10008.1.2.4.50", scu_role=False, scp_role=True)
    ae.add_supported_context(VERIFICATION)
    support = provided().sop_classes
    assert support[CT].transfer_syntaxes == ("1.2.840.10008.1.2.4.50",)
    assert (support[CT].scp, support[CT].scu) == (False, True)
    assert (support[VERIFICATION].scp, support[VERIFICATION].scu) == (True, False)


def test_a_guard_that_would_not_be_called_is_refused(module: ModuleType) -> None:
    module.handlers = [(evt.EVT_USER_ID, handle)]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="EVT_USER_ID: associations are negotiated by the node"):
        provided()


def test_a_module_without_handlers_is_refused(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="move it up to the module"):
        provided()


def test_problems_are_sentences(tmp_path: Path) -> None:
    (problem,) = pacs_check(setup(file=str(tmp_path / "none.py")))
    assert "there is no file" in problem
    (problem,) = pacs_check(setup(file=__file__, module="acme"))
    assert problem == "set module or file, not both"


async def test_what_has_no_service_of_pynetdicoms_is_refused(module: ModuleType) -> None:
    module.handlers = [(evt.EVT_N_CREATE, handle)]  # type: ignore[attr-defined]
    provider = provided(sop_classes=(PRIVATE,)).create(memory_node())
    command = Command(field=CommandField.N_CREATE_RQ, message_id=1, affected_sop_class_uid=PRIVATE)
    assert (await answer(provider, MemoryOperation(command))).status == 0x0211


async def test_a_handler_that_aborts_is_0110h(module: ModuleType) -> None:
    def give_up(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    module.handlers = [(evt.EVT_C_ECHO, give_up)]  # type: ignore[attr-defined]
    provider = provided().create(memory_node())
    command = Command(
        field=CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid=VERIFICATION
    )
    assert (await answer(provider, MemoryOperation(command))).status == 0x0110


async def test_a_dataset_has_a_bound(module: ModuleType) -> None:
    module.handlers = [(evt.EVT_C_STORE, handle)]  # type: ignore[attr-defined]
    provider = provided(max_dataset=100).create(memory_node())
    command = Command(field=CommandField.C_STORE_RQ, message_id=1, affected_sop_class_uid=CT)
    operation = MemoryOperation(command, dataset=MemoryDataset(bytes(101)))
    assert (await answer(provider, operation)).status in (0xA700, 0x0213)


@pytest.mark.filterwarnings("ignore:'write_like_original':DeprecationWarning")
async def test_the_handlers_of_pynetdicoms_own_applications_run(
    module: ModuleType, tmp_path: Path
) -> None:
    """``pynetdicom storescp`` writes files named after modality and SOP Instance UID."""
    import logging
    from argparse import Namespace

    from pynetdicom.apps.common import handle_store

    options = Namespace(ignore=False, output_directory=str(tmp_path))
    arguments = [options, logging.getLogger("storescp")]
    module.handlers = [(evt.EVT_C_STORE, handle_store, arguments)]  # type: ignore[attr-defined]
    provider = provided().create(memory_node())
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3"
    command = Command(
        field=CommandField.C_STORE_RQ,
        message_id=1,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid="1.2.3",
        priority=0,
        has_dataset=True,
    )
    data = MemoryDataset(encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN))
    response = await answer(provider, MemoryOperation(command, dataset=data))
    assert response.status == 0x0000
    assert os.listdir(tmp_path) == ["CT.1.2.3"]


class TestFind(ServiceProviderContract):
    """What every provider must do, with a handler that finds three patients."""

    @pytest.fixture
    def descriptor(self, module: ModuleType) -> ServiceProviderDescriptor:
        def find(event: evt.Event) -> object:
            for number in range(3):
                if event.is_cancelled:
                    yield 0xFE00, None
                    return
                match = Dataset()
                match.PatientID = f"{event.identifier.PatientID}{number}"
                yield 0xFF00, match

        module.handlers = [(evt.EVT_C_FIND, find)]  # type: ignore[attr-defined]
        return provided()

    @pytest.fixture
    def node(self) -> Node:
        return memory_node()

    @pytest.fixture
    def examples(self) -> list[Example]:
        identifier = Dataset()
        identifier.PatientID = "P"
        command = Command(
            field=CommandField.C_FIND_RQ,
            message_id=1,
            affected_sop_class_uid=FIND,
            priority=0,
            has_dataset=True,
        )
        return [Example(command, encode_dataset(identifier, EXPLICIT_VR_LITTLE_ENDIAN))]
