"""A small archive, and requests to it."""

import time
from collections.abc import Callable, Iterator

import pytest
from pacs_sop_query_retrieve import QueryRetrieveConfig, pacs_service_providers

from pacs_core.contracts import Node, NodeSettings, Peer, ServiceProvider, Setup
from pacs_core.dataset import Attributes, encode_attributes, parse_attributes, tag_of
from pacs_core.dimse import Command, CommandField
from pacs_core.testing.operations import (
    MemoryDataset,
    MemoryOperation,
    accepted_context,
    memory_association,
    memory_node,
)

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
FIELDS = {
    "FIND": CommandField.C_FIND_RQ,
    "MOVE": CommandField.C_MOVE_RQ,
    "GET": CommandField.C_GET_RQ,
}
SOP_CLASSES = {
    ("patient", "FIND"): "1.2.840.10008.5.1.4.1.2.1.1",
    ("patient", "MOVE"): "1.2.840.10008.5.1.4.1.2.1.2",
    ("patient", "GET"): "1.2.840.10008.5.1.4.1.2.1.3",
    ("study", "FIND"): "1.2.840.10008.5.1.4.1.2.2.1",
    ("study", "MOVE"): "1.2.840.10008.5.1.4.1.2.2.2",
    ("study", "GET"): "1.2.840.10008.5.1.4.1.2.2.3",
    ("patient-study", "FIND"): "1.2.840.10008.5.1.4.1.2.3.1",
}


def attributes_of(**values) -> Attributes:
    """Keys by keyword: a text, a tuple of texts, or a list of items."""

    def convert(value):
        if isinstance(value, list):
            return tuple(attributes_of(**item) for item in value)
        if isinstance(value, tuple):
            return value
        return (value,) if value else ()

    return {tag_of(keyword): convert(value) for keyword, value in values.items()}


def instance(study: int, series: int, number: int, **more) -> Attributes:
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"1.2.{study}.{series}.{number}",
        "StudyInstanceUID": f"1.2.{study}",
        "SeriesInstanceUID": f"1.2.{study}.{series}",
        "PatientID": f"P{study}",
        "PatientName": "Doe^Jane",
        "StudyDate": f"2020010{study}",
        "StudyTime": f"1{study}0000",
        "Modality": "CT",
        "InstanceNumber": str(number),
    }
    return attributes_of(**{**values, **more})


@pytest.fixture
def archive_zone(monkeypatch) -> Iterator[Callable[[str], None]]:
    """Have the process in a time zone, in POSIX form: ``XXX-2`` is two hours ahead of UTC."""

    def enter(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield enter
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def attributes() -> Callable[..., Attributes]:
    return attributes_of


@pytest.fixture
def instances() -> list[Attributes]:
    """Two studies: one of two series with three instances, one of a single instance."""
    return [
        instance(1, 1, 1),
        instance(1, 1, 2),
        instance(1, 2, 1, Modality="SR"),
        instance(2, 1, 1, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 192"),
    ]


@pytest.fixture
def settings() -> NodeSettings:
    return NodeSettings(peers={"viewer": Peer("VIEWER", "127.0.0.1", 1)})


@pytest.fixture
def filled_node(instances, settings) -> Node:
    datasets = [encode_attributes(i, EXPLICIT, ("ISO_IR 192",)) for i in instances]
    return memory_node(settings, datasets)


@pytest.fixture
def node(filled_node) -> Node:
    return filled_node


@pytest.fixture
def provider(node) -> Callable[..., ServiceProvider]:
    """Make the provider of a service, with configuration."""

    def make(service: str, **config) -> ServiceProvider:
        setup = Setup(node.settings, {QueryRetrieveConfig: QueryRetrieveConfig(**config)})
        found = {d.name: d for d in pacs_service_providers(setup)}
        return found[f"C-{service}"].create(node)

    return make


@pytest.fixture
def request_of() -> Callable[..., MemoryOperation]:
    """Make a request: service, model and keys by keyword."""

    def make(
        service: str,
        model: str = "study",
        *,
        options: bytes = b"",
        character_set: tuple[str, ...] = (),
        destination: str = "VIEWER",
        contexts=(),
        cancel_after: int | None = None,
        store_status=0,
        syntax: str = EXPLICIT,
        **keys,
    ) -> MemoryOperation:
        sop_class = SOP_CLASSES[model, service]
        command = Command(
            field=FIELDS[service],
            message_id=5,
            affected_sop_class_uid=sop_class,
            priority=0,
            move_destination=destination if service == "MOVE" else None,
            has_dataset=True,
        )
        context = accepted_context(sop_class, syntax)
        data = encode_attributes(attributes_of(**keys), syntax, character_set)
        return MemoryOperation(
            command,
            context,
            memory_association(context, *contexts, extended={sop_class: options}),
            MemoryDataset(data),
            cancel_after=cancel_after,
            store_status=store_status,
        )

    return make


@pytest.fixture
def responses() -> Callable[[MemoryOperation], list[Attributes]]:
    """Return the identifiers of the pending responses."""

    def parse(operation: MemoryOperation) -> list[Attributes]:
        syntax = operation.context.transfer_syntax
        return [parse_attributes(sent.dataset, syntax) for sent in operation.pending]

    return parse
