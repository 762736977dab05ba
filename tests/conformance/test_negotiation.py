"""A running node accepts exactly the presentation contexts that its statement lists."""

import json

import pytest
from pydicom._uid_dict import UID_dictionary

from pacs_core.association import MAX_CONTEXTS, AssociationOptions, Proposal, connect
from pacs_core.cli.main import main
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES
from pacs_core.testing.node import node_thread
from pacs_core.upper_layer import ExtendedNegotiation

pytestmark = pytest.mark.anyio

PRIVATE = "2.25.99"
SYNTAXES = [syntax.uid for syntax in ALL_TRANSFER_SYNTAXES] + [PRIVATE]
SOP_CLASSES = [uid for uid, row in UID_dictionary.items() if "SOP Class" in row[1]] + [PRIVATE]
CONFIGURATIONS = {
    "as installed": {},
    "restricted": {
        "network": {"timeouts": {"shutdown": 1.0}, "max_pdu_length": 20_000},
        "plugin": {
            "sop-storage": {
                "enabled": ["ct", "sr"],
                "private": ["2.25.7"],
                "transfer_syntaxes": ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1"],
            },
            "sop-query-retrieve": {"models": ["study-root"], "fuzzy_names": True},
        },
    },
    "without query and retrieve": {"plugins": {"disabled": ["sop-query-retrieve"]}},
}


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def stated(request, tmp_path_factory):
    """A node, and its statement as `pacs conformance` writes it."""
    data = tmp_path_factory.mktemp("node") / "data"
    with node_thread(data, CONFIGURATIONS[request.param]) as node:
        output = data / "statement.json"
        arguments = ["--format", "json", "--config", data / "pacs.toml", "--output", output]
        assert main(["conformance", *map(str, arguments)]) == 0
        yield node, json.loads(output.read_text())


def sop_classes(statement):
    return [each for service in statement["services"] for each in service["sop_classes"]]


async def accepted(node, proposals):
    """Return what is accepted, in as many associations as it takes."""
    found = []
    for start in range(0, len(proposals), MAX_CONTEXTS):
        batch = proposals[start : start + MAX_CONTEXTS]
        async with connect(node.peer, batch) as association:
            found += association.contexts.values()
    return [(c.abstract_syntax, c.transfer_syntax, c.scu, c.scp) for c in found]


async def test_every_listed_context_is_accepted_with_its_roles(stated):
    node, statement = stated
    listed = [
        (each["uid"], syntax, each["scp"], each["scu"])
        for each in sop_classes(statement)
        for syntax in each["transfer_syntaxes"]
    ]
    assert listed
    proposals = [Proposal(uid, (syntax,), scu=True, scp=True) for uid, syntax, _, _ in listed]
    assert await accepted(node, proposals) == listed


async def test_no_other_context_is_accepted(stated):
    node, statement = stated
    by_uid = {each["uid"]: each["transfer_syntaxes"] for each in sop_classes(statement)}
    others = [
        Proposal(uid, (syntax,))
        for uid, syntaxes in by_uid.items()
        for syntax in SYNTAXES
        if syntax not in syntaxes
    ]
    others += [Proposal(uid) for uid in SOP_CLASSES if uid not in by_uid]
    assert len(others) > MAX_CONTEXTS
    assert await accepted(node, others) == []


async def test_what_is_agreed_in_extended_negotiation_is_what_is_listed(stated):
    node, statement = stated
    listed = {
        each["uid"]: {int(number) for number in service["extended_negotiation"]}
        for service in statement["services"]
        for each in service["sop_classes"]
    }
    uids = sorted(listed)
    answers = {uid: set() for uid in uids}
    for start in range(0, len(uids), MAX_CONTEXTS):
        batch = uids[start : start + MAX_CONTEXTS]
        options = AssociationOptions(
            extended=tuple(ExtendedNegotiation(uid, b"\1" * 7) for uid in batch)
        )
        proposals = [Proposal(uid, tuple(SYNTAXES[:60])) for uid in batch]
        async with connect(node.peer, proposals, options=options) as association:
            for uid, answer in association.info.extended.items():
                answers[uid] = {n for n, byte in enumerate(answer, start=1) if byte == 1}
    assert answers == listed


async def test_the_listed_policies_are_in_force(stated):
    node, statement = stated
    network = statement["network"]
    assert network["ae_title"] == node.peer.ae_title
    async with connect(node.peer, [Proposal("1.2.840.10008.1.1")]) as association:
        assert association.info.maximum_length == network["max_pdu_length"]
