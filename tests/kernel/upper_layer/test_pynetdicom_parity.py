"""pynetdicom as an independent opinion on the encoding of A-ASSOCIATE PDUs, in both directions."""

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import build_context

from pacs_core.upper_layer import (
    AssociateAC,
    AssociateRQ,
    AsynchronousOperations,
    CommonExtendedNegotiation,
    ContextResult,
    ContextResultCode,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
    decode,
    encode,
)

CT, FIND, IMPLICIT, EXPLICIT = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
)
COMMON = {
    "maximum_length": 16384,
    "implementation_class_uid": "1.2.826.0.1",
    "implementation_version_name": "PACS_1",
    "asynchronous_operations": AsynchronousOperations(7, 3),
    "roles": (RoleSelection(CT, True, True), RoleSelection(FIND, False, True)),
    "extended": (ExtendedNegotiation(FIND, b"\x01\x00\x01"),),
}
REQUEST = AssociateRQ(
    "ARCHIVE",
    "CT_SCANNER_1",
    (ProposedContext(1, CT, (EXPLICIT, IMPLICIT)), ProposedContext(255, FIND, (IMPLICIT,))),
    UserInformation(
        **COMMON,
        common_extended=(
            CommonExtendedNegotiation(CT, "1.2.840.10008.4.2", (CT, "1.2.840.10008.5.1.4.1.1.4")),
        ),
        user_identity=UserIdentity(2, True, b"ann", b"secret"),
    ),
)
RESPONSE = AssociateAC(
    "ARCHIVE",
    "CT_SCANNER_1",
    (
        ContextResult(1, ContextResultCode.ACCEPTANCE, EXPLICIT),
        ContextResult(255, ContextResultCode.ACCEPTANCE, IMPLICIT),
    ),
    UserInformation(**COMMON, user_identity_response=b"ticket"),
)


def primitive(cls, **values):
    item = cls()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def user_information(user):
    """Return the same as pynetdicom's primitives, in the order of their item types."""
    window = user.asynchronous_operations
    yield primitive(MaximumLengthNotification, maximum_length_received=user.maximum_length)
    yield primitive(
        ImplementationClassUIDNotification, implementation_class_uid=user.implementation_class_uid
    )
    yield primitive(
        AsynchronousOperationsWindowNegotiation,
        maximum_number_operations_invoked=window.max_invoked,
        maximum_number_operations_performed=window.max_performed,
    )
    for role in user.roles:
        yield primitive(
            SCP_SCU_RoleSelectionNegotiation,
            sop_class_uid=role.sop_class_uid,
            scu_role=role.scu,
            scp_role=role.scp,
        )
    yield primitive(
        ImplementationVersionNameNotification,
        implementation_version_name=user.implementation_version_name,
    )
    for extended in user.extended:
        yield primitive(
            SOPClassExtendedNegotiation,
            sop_class_uid=extended.sop_class_uid,
            service_class_application_information=extended.application_information,
        )
    for common in user.common_extended:
        yield primitive(
            SOPClassCommonExtendedNegotiation,
            sop_class_uid=common.sop_class_uid,
            service_class_uid=common.service_class_uid,
            related_general_sop_class_identification=list(common.related_general_sop_class_uids),
        )
    if user.user_identity:
        yield primitive(
            UserIdentityNegotiation,
            user_identity_type=user.user_identity.type,
            positive_response_requested=user.user_identity.positive_response_requested,
            primary_field=user.user_identity.primary,
            secondary_field=user.user_identity.secondary,
        )
    if user.user_identity_response:
        yield primitive(UserIdentityNegotiation, server_response=user.user_identity_response)


def associate(pdu):
    return primitive(
        A_ASSOCIATE,
        called_ae_title=pdu.called_ae_title,
        calling_ae_title=pdu.calling_ae_title,
        application_context_name=pdu.application_context,
        user_information=list(user_information(pdu.user_information)),
    )


def pynetdicom_request():
    request = associate(REQUEST)
    contexts = [
        build_context(c.abstract_syntax, list(c.transfer_syntaxes))
        for c in REQUEST.presentation_contexts
    ]
    for ours, theirs in zip(REQUEST.presentation_contexts, contexts, strict=True):
        theirs.context_id = ours.id
    request.presentation_context_definition_list = contexts
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return pdu


def pynetdicom_response():
    response = associate(RESPONSE)
    contexts = [build_context(CT, [c.transfer_syntax]) for c in RESPONSE.presentation_contexts]
    for ours, theirs in zip(RESPONSE.presentation_contexts, contexts, strict=True):
        theirs.context_id = ours.id
        theirs.result = int(ours.result)
    response.presentation_context_definition_results_list = contexts
    response.result = 0
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(response)
    return pdu


PAIRS = [(REQUEST, pynetdicom_request), (RESPONSE, pynetdicom_response)]


@pytest.mark.parametrize(("ours", "make_theirs"), PAIRS, ids=["RQ", "AC"])
def test_the_same_bytes(ours, make_theirs):
    assert encode(ours).hex() == make_theirs().encode().hex()


@pytest.mark.parametrize(("ours", "make_theirs"), PAIRS, ids=["RQ", "AC"])
def test_we_read_theirs(ours, make_theirs):
    assert decode(make_theirs().encode()) == ours


@pytest.mark.parametrize(("ours", "make_theirs"), PAIRS, ids=["RQ", "AC"])
def test_they_read_ours(ours, make_theirs):
    theirs = type(make_theirs())()
    theirs.decode(encode(ours))
    assert theirs == make_theirs()


def test_they_read_a_refused_context():
    response = AssociateAC(
        "A", "B", (ContextResult(1, ContextResultCode.ABSTRACT_SYNTAX_NOT_SUPPORTED),)
    )
    theirs = A_ASSOCIATE_AC()
    theirs.decode(encode(response))
    [context] = theirs.presentation_context
    assert (context.context_id, context.result) == (1, 3)
