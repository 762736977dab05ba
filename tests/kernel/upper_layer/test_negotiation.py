"""Negotiation rules: PS3.8 Table 9-18, PS3.7 §D.3.3.3 and §D.3.3.4."""

import pytest

from pacs_core.upper_layer import (
    ANY,
    AcceptedContext,
    AssociateAC,
    AssociateRQ,
    AsynchronousOperations,
    ContextResult,
    ContextResultCode,
    ProposedContext,
    RoleSelection,
    SupportedSopClass,
    UserInformation,
    accepted_contexts,
    agreed_asynchronous_operations,
    negotiate_asynchronous_operations,
    negotiate_contexts,
)

IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def propose(*transfer, abstract=CT, context_id=1):
    return ProposedContext(context_id, abstract, transfer)


def answer(supported, *proposed, **options):
    [*results], _ = negotiate_contexts(proposed, supported, **options)
    return [(r.id, int(r.result), r.transfer_syntax) for r in results]


def test_the_proposers_order_decides():
    supported = {CT: SupportedSopClass((EXPLICIT, IMPLICIT, JPEG))}
    assert answer(supported, propose(JPEG, EXPLICIT)) == [(1, 0, JPEG)]
    assert answer(supported, propose("1.9", IMPLICIT)) == [(1, 0, IMPLICIT)]


def test_the_acceptors_order_on_request():
    supported = {CT: SupportedSopClass((EXPLICIT, JPEG))}
    assert answer(supported, propose(JPEG, EXPLICIT), prefer_acceptor=True) == [(1, 0, EXPLICIT)]


@pytest.mark.parametrize("supported", [(EXPLICIT, IMPLICIT, JPEG), ANY])
def test_what_is_preferred_goes_before_the_order_of_either(supported):
    preferring = {CT: SupportedSopClass(supported, preferred=("1.9", JPEG, IMPLICIT))}
    assert answer(preferring, propose(EXPLICIT, IMPLICIT, JPEG)) == [(1, 0, JPEG)]
    assert answer(preferring, propose(EXPLICIT, IMPLICIT)) == [(1, 0, IMPLICIT)]
    assert answer(preferring, propose(EXPLICIT)) == [(1, 0, EXPLICIT)]


def test_what_is_preferred_must_be_supported():
    preferring = {CT: SupportedSopClass((EXPLICIT,), preferred=(JPEG,))}
    assert answer(preferring, propose(JPEG, EXPLICIT)) == [(1, 0, EXPLICIT)]


def test_reasons_of_refusal():
    supported = {CT: SupportedSopClass((EXPLICIT,))}
    contexts = propose(JPEG), propose(EXPLICIT, abstract=MR, context_id=3)
    assert answer(supported, *contexts) == [(1, 4, None), (3, 3, None)]


def test_any_and_predicates_and_callables():
    assert answer({CT: SupportedSopClass(ANY)}, propose("1.9")) == [(1, 0, "1.9")]
    compressed = SupportedSopClass(lambda uid: uid.startswith("1.2.840.10008.1.2.4"))
    assert answer(lambda uid: compressed, propose(EXPLICIT, JPEG)) == [(1, 0, JPEG)]
    assert answer(lambda uid: None, propose(EXPLICIT)) == [(1, 3, None)]


@pytest.mark.parametrize(
    ("asked", "scu", "scp", "result", "replied"),
    [
        (None, True, False, 0, None),
        (None, True, True, 0, None),
        (None, False, True, 1, None),
        ((True, True), True, True, 0, (True, True)),
        ((True, True), True, False, 0, (True, False)),
        ((True, True), False, True, 0, (False, True)),
        ((False, True), True, True, 0, (False, True)),
        ((False, True), True, False, 1, None),
        ((True, False), True, True, 0, (True, False)),
    ],
)
def test_roles_are_only_those_proposed_and_supported(asked, scu, scp, result, replied):
    roles = [RoleSelection(CT, *asked)] if asked else []
    supported = {CT: SupportedSopClass(ANY, scu_role=scu, scp_role=scp)}
    [outcome], replies = negotiate_contexts([propose(EXPLICIT)], supported, roles)
    assert outcome.result == result
    assert replies == ((RoleSelection(CT, *replied),) if replied else ())


def test_one_reply_for_several_contexts_and_none_for_other_classes():
    contexts = propose(EXPLICIT), propose(JPEG, context_id=3)
    roles = RoleSelection(CT, False, True), RoleSelection(MR, False, True)
    supported = {CT: SupportedSopClass(ANY, scp_role=True)}
    _, replies = negotiate_contexts(contexts, supported, roles)
    assert replies == (RoleSelection(CT, False, True),)


def agree(results, asked=(), replied=()):
    contexts = propose(EXPLICIT, JPEG), propose(EXPLICIT, abstract=MR, context_id=3)
    request = AssociateRQ("A", "B", contexts, UserInformation(roles=asked))
    return accepted_contexts(
        request, AssociateAC("A", "B", results, UserInformation(roles=replied))
    )


def accepted(context_id, syntax):
    return ContextResult(context_id, ContextResultCode.ACCEPTANCE, syntax)


def test_accepted_contexts():
    refused = ContextResult(3, ContextResultCode.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    assert agree((accepted(1, JPEG), refused)) == {1: AcceptedContext(1, CT, JPEG, True, False)}


def test_answers_to_what_was_not_proposed_are_left_out():
    assert agree((accepted(1, IMPLICIT), accepted(5, EXPLICIT))) == {}


@pytest.mark.parametrize(
    ("asked", "replied", "agreed"),
    [
        ((True, True), (True, True), (True, True)),
        ((True, True), None, (True, False)),
        ((False, True), None, (True, False)),
        (None, (True, True), (True, False)),
        ((False, True), (True, True), (False, True)),
        ((True, True), (False, True), (False, True)),
    ],
)
def test_agreed_roles(asked, replied, agreed):
    roles = [(RoleSelection(CT, *r),) if r else () for r in (asked, replied)]
    context = agree((accepted(1, EXPLICIT),), *roles)[1]
    assert (context.scu, context.scp) == agreed


@pytest.mark.parametrize(
    ("proposed", "allowed", "expected"),
    [
        ((5, 1), (3, 3), (3, 1)),
        ((0, 0), (8, 0), (8, 0)),
        ((4, 1), (0, 0), (4, 1)),
        ((1, 1), (8, 8), (1, 1)),
    ],
)
def test_the_window_is_never_raised(proposed, allowed, expected):
    window = negotiate_asynchronous_operations(
        AsynchronousOperations(*proposed), AsynchronousOperations(*allowed)
    )
    assert window == AsynchronousOperations(*expected)


def test_the_window_is_left_out_if_not_proposed():
    assert negotiate_asynchronous_operations(None, AsynchronousOperations(9, 9)) is None


@pytest.mark.parametrize(
    ("proposed", "answered", "agreed"),
    [
        (None, None, (1, 1)),
        ((9, 9), None, (1, 1)),
        (None, (9, 9), (1, 1)),
        ((9, 0), (3, 2), (3, 2)),
        ((2, 2), (9, 0), (2, 2)),
    ],
)
def test_the_window_in_force(proposed, answered, agreed):
    users = [
        UserInformation(asynchronous_operations=AsynchronousOperations(*w) if w else None)
        for w in (proposed, answered)
    ]
    request = AssociateRQ("A", "B", (propose(EXPLICIT),), users[0])
    response = AssociateAC("A", "B", (accepted(1, EXPLICIT),), users[1])
    assert agreed_asynchronous_operations(request, response) == AsynchronousOperations(*agreed)
