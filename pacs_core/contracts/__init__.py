"""Contracts that plugins implement, and the typed descriptors with which they register it."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.contracts.access import (
        Access as Access,
        AccessAction as AccessAction,
        AccessDeniedError as AccessDeniedError,
        AccessGuard as AccessGuard,
        AccessTarget as AccessTarget,
        Allow as Allow,
        AssociationObserver as AssociationObserver,
        Authenticated as Authenticated,
        Authenticator as Authenticator,
        Authorizer as Authorizer,
        Deny as Deny,
        NoAccessGuard as NoAccessGuard,
        Refused as Refused,
        Restrict as Restrict,
        Verdict as Verdict,
    )
    from pacs_core.contracts.archive import Archive as Archive
    from pacs_core.contracts.association import (
        MAX_CONTEXTS as MAX_CONTEXTS,
        AssociationAbortedError as AssociationAbortedError,
        AssociationError as AssociationError,
        AssociationOptions as AssociationOptions,
        AssociationRefusedError as AssociationRefusedError,
        ConnectError as ConnectError,
        Connector as Connector,
        NoConnector as NoConnector,
        NoContextError as NoContextError,
        PeerTimeoutError as PeerTimeoutError,
        Proposal as Proposal,
        RequestedAssociation as RequestedAssociation,
        ServeRequests as ServeRequests,
    )
    from pacs_core.contracts.audit import (
        AuditCode as AuditCode,
        AuditEvent as AuditEvent,
        AuditFailedError as AuditFailedError,
        AuditKind as AuditKind,
        AuditObject as AuditObject,
        AuditObjectKind as AuditObjectKind,
        AuditSink as AuditSink,
        AuditTrail as AuditTrail,
        AuditValue as AuditValue,
        EventAction as EventAction,
        Outcome as Outcome,
        Participant as Participant,
        ParticipantRole as ParticipantRole,
        PluginAuditKind as PluginAuditKind,
    )
    from pacs_core.contracts.audit_reader import (
        AuditReader as AuditReader,
        AuditSearch as AuditSearch,
    )
    from pacs_core.contracts.availability import (
        Availability as Availability,
        NotOnlineError as NotOnlineError,
        RecallProgress as RecallProgress,
        RecallReport as RecallReport,
    )
    from pacs_core.contracts.capability import (
        Capabilities as Capabilities,
        Interface as Interface,
        interface_name as interface_name,
    )
    from pacs_core.contracts.changes import (
        INSTANCE_CHANGES as INSTANCE_CHANGES,
        STUDY_CHANGES as STUDY_CHANGES,
        Change as Change,
        ChangeConsumer as ChangeConsumer,
        ChangeKind as ChangeKind,
        ChangeLog as ChangeLog,
        ChangesLostError as ChangesLostError,
        Cursor as Cursor,
    )
    from pacs_core.contracts.codec import (
        Codec as Codec,
        DecodedFrame as DecodedFrame,
        EncodedFrame as EncodedFrame,
        EncodeOptions as EncodeOptions,
    )
    from pacs_core.contracts.component import Component as Component
    from pacs_core.contracts.config_fields import ConfigFile as ConfigFile, StoreName as StoreName
    from pacs_core.contracts.conflicts import (
        Conflict as Conflict,
        ConflictKind as ConflictKind,
        patient_name_of as patient_name_of,
    )
    from pacs_core.contracts.conformance import (
        SecuritySection as SecuritySection,
        SecurityStatement as SecurityStatement,
        WebServicesStatement as WebServicesStatement,
        WebTransaction as WebTransaction,
    )
    from pacs_core.contracts.control import (
        ControlError as ControlError,
        ControlHandler as ControlHandler,
        ControlOperation as ControlOperation,
        NodeNotRunningError as NodeNotRunningError,
        WorkerResponse as WorkerResponse,
    )
    from pacs_core.contracts.correction_json import (
        correction_from_json as correction_from_json,
        correction_to_json as correction_to_json,
    )
    from pacs_core.contracts.corrections import (
        ISSUER_OF_PATIENT_ID as ISSUER_OF_PATIENT_ID,
        PATIENT_ID as PATIENT_ID,
        Correction as Correction,
        CorrectionError as CorrectionError,
        CorrectionExistsError as CorrectionExistsError,
        CorrectionLog as CorrectionLog,
        CorrectionNotFoundError as CorrectionNotFoundError,
        CorrectionReport as CorrectionReport,
        EntityPath as EntityPath,
    )
    from pacs_core.contracts.correlation import (
        NO_CORRELATION as NO_CORRELATION,
        Correlation as Correlation,
        correlated as correlated,
        current_correlation as current_correlation,
        new_correlation as new_correlation,
    )
    from pacs_core.contracts.data_version import DataState as DataState, DataVersion as DataVersion
    from pacs_core.contracts.database import DatabaseSettings as DatabaseSettings
    from pacs_core.contracts.deidentifying import (
        DeidentificationRefusedError as DeidentificationRefusedError,
        DeidentifiedInstance as DeidentifiedInstance,
        Deidentifier as Deidentifier,
    )
    from pacs_core.contracts.deletion import (
        DeletionError as DeletionError,
        DeletionReport as DeletionReport,
        InstanceHeldError as InstanceHeldError,
    )
    from pacs_core.contracts.deletion_bin import (
        DeletedInstance as DeletedInstance,
        DeletionBin as DeletionBin,
    )
    from pacs_core.contracts.deletion_guard import DeletionGuard as DeletionGuard
    from pacs_core.contracts.descriptors import (
        AccessDescriptor as AccessDescriptor,
        AuditSinkDescriptor as AuditSinkDescriptor,
        CapabilityDescriptor as CapabilityDescriptor,
        ChangeConsumerDescriptor as ChangeConsumerDescriptor,
        CliCommandDescriptor as CliCommandDescriptor,
        CodecDescriptor as CodecDescriptor,
        ControlDescriptor as ControlDescriptor,
        DeletionGuardDescriptor as DeletionGuardDescriptor,
        Descriptor as Descriptor,
        EventHandlerDescriptor as EventHandlerDescriptor,
        IndexDescriptor as IndexDescriptor,
        IngestFilterDescriptor as IngestFilterDescriptor,
        ObjectStoreDescriptor as ObjectStoreDescriptor,
        ServiceDescriptor as ServiceDescriptor,
        ServiceProviderDescriptor as ServiceProviderDescriptor,
    )
    from pacs_core.contracts.differences import (
        Difference as Difference,
        DifferenceKind as DifferenceKind,
    )
    from pacs_core.contracts.durability import Durability as Durability
    from pacs_core.contracts.errors import (
        ERRORS as ERRORS,
        ErrorStatus as ErrorStatus,
        dimse_error_of as dimse_error_of,
        find_error_status as find_error_status,
        http_status_of as http_status_of,
    )
    from pacs_core.contracts.events import (
        EventHandler as EventHandler,
        InstanceEvent as InstanceEvent,
        InstanceEventKind as InstanceEventKind,
    )
    from pacs_core.contracts.fingerprints import Fingerprint as Fingerprint
    from pacs_core.contracts.frames import (
        Frame as Frame,
        FrameCount as FrameCount,
        FrameNotFoundError as FrameNotFoundError,
        InstanceHeader as InstanceHeader,
        UnreadableFramesError as UnreadableFramesError,
    )
    from pacs_core.contracts.headers import (
        CONSIDERED as CONSIDERED,
        merge as merge,
        precedence as precedence,
    )
    from pacs_core.contracts.health import (
        HealthCheck as HealthCheck,
        HealthChecks as HealthChecks,
        HealthResult as HealthResult,
    )
    from pacs_core.contracts.hooks import Contribution as Contribution, Hooks as Hooks
    from pacs_core.contracts.index import (
        FurtherAttribute as FurtherAttribute,
        Index as Index,
        IndexRebuild as IndexRebuild,
        IndexResult as IndexResult,
    )
    from pacs_core.contracts.ingest import (
        DuplicateInstanceError as DuplicateInstanceError,
        IdentityMismatchError as IdentityMismatchError,
        IngestError as IngestError,
        IngestOutcome as IngestOutcome,
        IngestResult as IngestResult,
        InvalidInstanceError as InvalidInstanceError,
        OutOfResourcesError as OutOfResourcesError,
    )
    from pacs_core.contracts.ingest_filter import (
        Accept as Accept,
        Divert as Divert,
        Edit as Edit,
        FilterVerdict as FilterVerdict,
        IncomingHeader as IncomingHeader,
        IngestFilter as IngestFilter,
        IngestFilterError as IngestFilterError,
        Reject as Reject,
        RejectedInstanceError as RejectedInstanceError,
    )
    from pacs_core.contracts.ingest_observing import (
        IngestObserver as IngestObserver,
        IngestObservers as IngestObservers,
        IngestStage as IngestStage,
        ObservedIngest as ObservedIngest,
        StageTime as StageTime,
    )
    from pacs_core.contracts.inspection import (
        CertificateStatus as CertificateStatus,
        ConfigOrigin as ConfigOrigin,
        ConfigValue as ConfigValue,
        NodeInspector as NodeInspector,
        PluginStatus as PluginStatus,
        QueueStatus as QueueStatus,
        ResourceStatus as ResourceStatus,
        WarningSource as WarningSource,
    )
    from pacs_core.contracts.instance import (
        InstanceIdentity as InstanceIdentity,
        InstanceNotFoundError as InstanceNotFoundError,
        InstancePath as InstancePath,
        InstanceRecord as InstanceRecord,
        Origin as Origin,
        Principal as Principal,
        StoredInstance as StoredInstance,
    )
    from pacs_core.contracts.leases import Lease as Lease, Leases as Leases
    from pacs_core.contracts.metadata import (
        METADATA_LIMITS as METADATA_LIMITS,
        LackingMetadata as LackingMetadata,
        PreparedMetadata as PreparedMetadata,
        bulk_data_path as bulk_data_path,
        bulk_data_reference as bulk_data_reference,
        encode_metadata as encode_metadata,
        identity_metadata as identity_metadata,
        resolve_bulk_data as resolve_bulk_data,
    )
    from pacs_core.contracts.metering import (
        SECONDS as SECONDS,
        Counter as Counter,
        Gauge as Gauge,
        Histogram as Histogram,
        Meter as Meter,
        Metric as Metric,
        MetricKind as MetricKind,
        NoMeter as NoMeter,
        Sample as Sample,
    )
    from pacs_core.contracts.node import (
        Node as Node,
        PluginInfo as PluginInfo,
        Setup as Setup,
        WorkerInfo as WorkerInfo,
    )
    from pacs_core.contracts.node_settings import NodeSettings as NodeSettings
    from pacs_core.contracts.object_store import (
        CHUNK_SIZE as CHUNK_SIZE,
        DamagedObjectError as DamagedObjectError,
        ObjectExistsError as ObjectExistsError,
        ObjectNotFoundError as ObjectNotFoundError,
        ObjectReader as ObjectReader,
        ObjectStore as ObjectStore,
        ObjectWriter as ObjectWriter,
        StorageFullError as StorageFullError,
        StoredObject as StoredObject,
        with_beginning as with_beginning,
    )
    from pacs_core.contracts.observing import (
        ObservedOperation as ObservedOperation,
        OperationEnd as OperationEnd,
        OperationObserver as OperationObserver,
        OperationObservers as OperationObservers,
    )
    from pacs_core.contracts.ordering import sort_key as sort_key
    from pacs_core.contracts.patient_records import (
        PATIENT_TAGS as PATIENT_TAGS,
        PatientRecords as PatientRecords,
        change_record as change_record,
        correct_patient as correct_patient,
        patient_of as patient_of,
    )
    from pacs_core.contracts.peer import (
        DicomWebPeer as DicomWebPeer,
        Peer as Peer,
        TransferPolicy as TransferPolicy,
        check_ae_title as check_ae_title,
    )
    from pacs_core.contracts.reloading import (
        RELOADABLE as RELOADABLE,
        is_reloadable as is_reloadable,
    )
    from pacs_core.contracts.rendering import (
        Graphic as Graphic,
        RegionShift as RegionShift,
        Renderer as Renderer,
        RenderingError as RenderingError,
        RenderingOptions as RenderingOptions,
        Shutter as Shutter,
        SourceRegion as SourceRegion,
        Subtraction as Subtraction,
        Viewport as Viewport,
    )
    from pacs_core.contracts.secret import Secret as Secret
    from pacs_core.contracts.security import (
        SecurityFinding as SecurityFinding,
        Severity as Severity,
        is_loopback as is_loopback,
    )
    from pacs_core.contracts.sending import (
        Form as Form,
        Instances as Instances,
        NoSender as NoSender,
        Sender as Sender,
        Sending as Sending,
        Sent as Sent,
    )
    from pacs_core.contracts.service import Service as Service, Started as Started
    from pacs_core.contracts.service_provider import (
        UNCOMPRESSED as UNCOMPRESSED,
        AssociationInfo as AssociationInfo,
        DatasetStream as DatasetStream,
        Link as Link,
        Operation as Operation,
        Response as Response,
        ServiceProvider as ServiceProvider,
        SopClassSupport as SopClassSupport,
    )
    from pacs_core.contracts.study_completeness import StudyCompleteness as StudyCompleteness
    from pacs_core.contracts.timeouts import Timeouts as Timeouts
    from pacs_core.contracts.tls import (
        Certificate as Certificate,
        ClientTls as ClientTls,
        NoTlsContexts as NoTlsContexts,
        PeerCertificates as PeerCertificates,
        ServerTls as ServerTls,
        TlsConfigError as TlsConfigError,
        TlsContexts as TlsContexts,
        TlsError as TlsError,
        TlsInfo as TlsInfo,
        TlsProfile as TlsProfile,
        TlsSettings as TlsSettings,
    )
    from pacs_core.contracts.tracing import (
        Span as Span,
        SpanKind as SpanKind,
        SpanValue as SpanValue,
        Tracer as Tracer,
        Tracing as Tracing,
    )
    from pacs_core.contracts.transcoding import (
        NO_IMAGE as NO_IMAGE,
        Action as Action,
        PassThrough as PassThrough,
        Plan as Plan,
        Transcoder as Transcoder,
        TranscodingError as TranscodingError,
        VerificationError as VerificationError,
    )
    from pacs_core.contracts.wrapping import (
        WrappingStore as WrappingStore,
        WrappingWriter as WrappingWriter,
    )
    from pacs_core.imaging import CodecError as CodecError, FrameFormat as FrameFormat
    from pacs_core.query.keys import (
        DATE_AND_TIME as DATE_AND_TIME,
        InvalidKeyError as InvalidKeyError,
        KeyMatching as KeyMatching,
    )
    from pacs_core.query.matching import (
        NUMBER_VRS as NUMBER_VRS,
        admits as admits,
        item_matches as item_matches,
        matches as matches,
        number_of as number_of,
        surely_admits as surely_admits,
        wildcard_pattern as wildcard_pattern,
    )
    from pacs_core.query.model import (
        AllOf as AllOf,
        AnyOf as AnyOf,
        Condition as Condition,
        DateTimeRange as DateTimeRange,
        Either as Either,
        Empty as Empty,
        Level as Level,
        Not as Not,
        Order as Order,
        PersonName as PersonName,
        Query as Query,
        Range as Range,
        Restriction as Restriction,
        SequenceMatch as SequenceMatch,
        SingleValue as SingleValue,
        UidList as UidList,
        Wildcard as Wildcard,
        fold_name as fold_name,
        name_groups as name_groups,
        restricted_tags as restricted_tags,
    )
    from pacs_core.query.temporal import (
        MOMENT_VRS as MOMENT_VRS,
        TIMEZONE_OFFSET as TIMEZONE_OFFSET,
        archive_offset as archive_offset,
        comparables as comparables,
        days_around as days_around,
        is_within as is_within,
        offset_text as offset_text,
        plain as plain,
        range_bounds as range_bounds,
        split_offset as split_offset,
        timezone_of as timezone_of,
    )

import_on_demand(
    __name__,
    """
.access Access AccessAction AccessDeniedError AccessGuard AccessTarget Allow AssociationObserver
.access Authenticated Authenticator Authorizer Deny NoAccessGuard Refused Restrict Verdict
.archive Archive
.association MAX_CONTEXTS AssociationAbortedError AssociationError AssociationOptions
.association AssociationRefusedError ConnectError Connector NoConnector NoContextError
.association PeerTimeoutError Proposal RequestedAssociation ServeRequests
.audit AuditCode AuditEvent AuditFailedError AuditKind AuditObject AuditObjectKind AuditSink
.audit AuditTrail AuditValue EventAction Outcome Participant ParticipantRole PluginAuditKind
.audit_reader AuditReader AuditSearch
.availability Availability NotOnlineError RecallProgress RecallReport
.capability Capabilities Interface interface_name
.changes INSTANCE_CHANGES STUDY_CHANGES Change ChangeConsumer ChangeKind ChangeLog ChangesLostError
.changes Cursor
.codec Codec DecodedFrame EncodeOptions EncodedFrame
.component Component
.config_fields ConfigFile StoreName
.conflicts Conflict ConflictKind patient_name_of
.conformance SecuritySection SecurityStatement WebServicesStatement WebTransaction
.control ControlError ControlHandler ControlOperation NodeNotRunningError WorkerResponse
.correction_json correction_from_json correction_to_json
.corrections ISSUER_OF_PATIENT_ID PATIENT_ID Correction CorrectionError CorrectionExistsError
.corrections CorrectionLog CorrectionNotFoundError CorrectionReport EntityPath
.correlation NO_CORRELATION Correlation correlated current_correlation new_correlation
.data_version DataState DataVersion
.database DatabaseSettings
.deidentifying DeidentificationRefusedError DeidentifiedInstance Deidentifier
.deletion DeletionError DeletionReport InstanceHeldError
.deletion_bin DeletedInstance DeletionBin
.deletion_guard DeletionGuard
.descriptors AccessDescriptor AuditSinkDescriptor CapabilityDescriptor ChangeConsumerDescriptor
.descriptors CliCommandDescriptor CodecDescriptor ControlDescriptor DeletionGuardDescriptor
.descriptors Descriptor EventHandlerDescriptor IndexDescriptor IngestFilterDescriptor
.descriptors ObjectStoreDescriptor ServiceDescriptor ServiceProviderDescriptor
.differences Difference DifferenceKind
.durability Durability
.errors ERRORS ErrorStatus dimse_error_of find_error_status http_status_of
.events EventHandler InstanceEvent InstanceEventKind
.fingerprints Fingerprint
.frames Frame FrameCount FrameNotFoundError InstanceHeader UnreadableFramesError
.headers CONSIDERED merge precedence
.health HealthCheck HealthChecks HealthResult
.hooks Contribution Hooks
.index FurtherAttribute Index IndexRebuild IndexResult
.ingest DuplicateInstanceError IdentityMismatchError IngestError IngestOutcome IngestResult
.ingest InvalidInstanceError OutOfResourcesError
.ingest_filter Accept Divert Edit FilterVerdict IncomingHeader IngestFilter IngestFilterError Reject
.ingest_filter RejectedInstanceError
.ingest_observing IngestObserver IngestObservers IngestStage ObservedIngest StageTime
.inspection CertificateStatus ConfigOrigin ConfigValue NodeInspector PluginStatus QueueStatus
.inspection ResourceStatus WarningSource
.instance InstanceIdentity InstanceNotFoundError InstancePath InstanceRecord Origin Principal
.instance StoredInstance
.leases Lease Leases
.metadata METADATA_LIMITS LackingMetadata PreparedMetadata bulk_data_path bulk_data_reference
.metadata encode_metadata identity_metadata resolve_bulk_data
.metering SECONDS Counter Gauge Histogram Meter Metric MetricKind NoMeter Sample
.node Node PluginInfo Setup WorkerInfo
.node_settings NodeSettings
.object_store CHUNK_SIZE DamagedObjectError ObjectExistsError ObjectNotFoundError ObjectReader
.object_store ObjectStore ObjectWriter StorageFullError StoredObject with_beginning
.observing ObservedOperation OperationEnd OperationObserver OperationObservers
.ordering sort_key
.patient_records PATIENT_TAGS PatientRecords change_record correct_patient patient_of
.peer DicomWebPeer Peer TransferPolicy check_ae_title
.reloading RELOADABLE is_reloadable
.rendering Graphic RegionShift Renderer RenderingError RenderingOptions Shutter SourceRegion
.rendering Subtraction Viewport
.secret Secret
.security SecurityFinding Severity is_loopback
.sending Form Instances NoSender Sender Sending Sent
.service Service Started
.service_provider UNCOMPRESSED AssociationInfo DatasetStream Link Operation Response ServiceProvider
.service_provider SopClassSupport
.study_completeness StudyCompleteness
.timeouts Timeouts
.tls Certificate ClientTls NoTlsContexts PeerCertificates ServerTls TlsConfigError TlsContexts
.tls TlsError TlsInfo TlsProfile TlsSettings
.tracing Span SpanKind SpanValue Tracer Tracing
.transcoding NO_IMAGE Action PassThrough Plan Transcoder TranscodingError VerificationError
.wrapping WrappingStore WrappingWriter
pacs_core.imaging CodecError FrameFormat
pacs_core.query.keys DATE_AND_TIME InvalidKeyError KeyMatching
pacs_core.query.matching NUMBER_VRS admits item_matches matches number_of surely_admits
pacs_core.query.matching wildcard_pattern
pacs_core.query.model AllOf AnyOf Condition DateTimeRange Either Empty Level Not Order PersonName
pacs_core.query.model Query Range Restriction SequenceMatch SingleValue UidList Wildcard fold_name
pacs_core.query.model name_groups restricted_tags
pacs_core.query.temporal MOMENT_VRS TIMEZONE_OFFSET archive_offset comparables days_around is_within
pacs_core.query.temporal offset_text plain range_bounds split_offset timezone_of
""",
)
