"""DICOM Upper Layer (PS3.8): a sans-IO machine, its PDUs, and association negotiation."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.upper_layer.associate import (
        AssociateAC as AssociateAC,
        AssociateRQ as AssociateRQ,
    )
    from pacs_core.upper_layer.errors import (
        AbortReason as AbortReason,
        AbortSource as AbortSource,
        LocalProtocolError as LocalProtocolError,
        MalformedPDU as MalformedPDU,
        UpperLayerError as UpperLayerError,
    )
    from pacs_core.upper_layer.events import (
        Aborted as Aborted,
        AssociationAccepted as AssociationAccepted,
        AssociationRefused as AssociationRefused,
        AssociationRejected as AssociationRejected,
        AssociationRequested as AssociationRequested,
        ConnectionClosed as ConnectionClosed,
        DataReceived as DataReceived,
        Event as Event,
        Released as Released,
        ReleaseRequested as ReleaseRequested,
    )
    from pacs_core.upper_layer.fragments import fragment as fragment, fragment_size as fragment_size
    from pacs_core.upper_layer.items import (
        DICOM_APPLICATION_CONTEXT as DICOM_APPLICATION_CONTEXT,
        AsynchronousOperations as AsynchronousOperations,
        CommonExtendedNegotiation as CommonExtendedNegotiation,
        ContextResult as ContextResult,
        ContextResultCode as ContextResultCode,
        ExtendedNegotiation as ExtendedNegotiation,
        ProposedContext as ProposedContext,
        RoleSelection as RoleSelection,
        UserIdentity as UserIdentity,
        UserIdentityType as UserIdentityType,
        UserInformation as UserInformation,
    )
    from pacs_core.upper_layer.limits import Limits as Limits
    from pacs_core.upper_layer.machine import Role as Role, UpperLayer as UpperLayer
    from pacs_core.upper_layer.negotiation import (
        ANY as ANY,
        AcceptedContext as AcceptedContext,
        SupportedSopClass as SupportedSopClass,
        accepted_contexts as accepted_contexts,
        agreed_asynchronous_operations as agreed_asynchronous_operations,
        negotiate_asynchronous_operations as negotiate_asynchronous_operations,
        negotiate_contexts as negotiate_contexts,
    )
    from pacs_core.upper_layer.p_data import (
        PDataTF as PDataTF,
        PresentationDataValue as PresentationDataValue,
    )
    from pacs_core.upper_layer.pdu import (
        PDU as PDU,
        Abort as Abort,
        PDUType as PDUType,
        ReleaseRP as ReleaseRP,
        ReleaseRQ as ReleaseRQ,
        decode as decode,
        encode as encode,
    )
    from pacs_core.upper_layer.rejection import (
        APPLICATION_CONTEXT_NAME_NOT_SUPPORTED as APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
        CALLED_AE_TITLE_NOT_RECOGNIZED as CALLED_AE_TITLE_NOT_RECOGNIZED,
        CALLING_AE_TITLE_NOT_RECOGNIZED as CALLING_AE_TITLE_NOT_RECOGNIZED,
        LOCAL_LIMIT_EXCEEDED as LOCAL_LIMIT_EXCEEDED,
        NO_REASON_GIVEN as NO_REASON_GIVEN,
        TEMPORARY_CONGESTION as TEMPORARY_CONGESTION,
        AssociateRJ as AssociateRJ,
    )
    from pacs_core.upper_layer.states import (
        TRANSITIONS as TRANSITIONS,
        State as State,
        StateAction as StateAction,
        Stimulus as Stimulus,
        Transition as Transition,
    )

import_on_demand(
    __name__,
    """
.associate AssociateAC AssociateRQ
.errors AbortReason AbortSource LocalProtocolError MalformedPDU UpperLayerError
.events Aborted AssociationAccepted AssociationRefused AssociationRejected AssociationRequested
.events ConnectionClosed DataReceived Event ReleaseRequested Released
.fragments fragment fragment_size
.items DICOM_APPLICATION_CONTEXT AsynchronousOperations CommonExtendedNegotiation ContextResult
.items ContextResultCode ExtendedNegotiation ProposedContext RoleSelection UserIdentity
.items UserIdentityType UserInformation
.limits Limits
.machine Role UpperLayer
.negotiation ANY AcceptedContext SupportedSopClass accepted_contexts agreed_asynchronous_operations
.negotiation negotiate_asynchronous_operations negotiate_contexts
.p_data PDataTF PresentationDataValue
.pdu PDU Abort PDUType ReleaseRP ReleaseRQ decode encode
.rejection APPLICATION_CONTEXT_NAME_NOT_SUPPORTED CALLED_AE_TITLE_NOT_RECOGNIZED
.rejection CALLING_AE_TITLE_NOT_RECOGNIZED LOCAL_LIMIT_EXCEEDED NO_REASON_GIVEN TEMPORARY_CONGESTION
.rejection AssociateRJ
.states TRANSITIONS State StateAction Stimulus Transition
""",
)
