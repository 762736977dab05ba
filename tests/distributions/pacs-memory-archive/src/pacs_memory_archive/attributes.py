"""The attributes that the index keeps, by the level to which they belong (PS3.4 C.6)."""

from pacs_core.contracts import Level
from pacs_core.testing.memory_index import IndexCatalog

CATALOG = IndexCatalog(
    {
        Level.PATIENT: """
        PatientName PatientID IssuerOfPatientID PatientBirthDate PatientBirthTime PatientSex
        OtherPatientIDs OtherPatientNames OtherPatientIDsSequence EthnicGroup PatientComments
    """,
        Level.STUDY: """
        StudyInstanceUID StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence
        StudyID StudyDescription ReferringPhysicianName NameOfPhysiciansReadingStudy
        ProcedureCodeSequence AdmittingDiagnosesDescription PatientAge PatientSize PatientWeight
        Occupation AdditionalPatientHistory TimezoneOffsetFromUTC
    """,
        Level.SERIES: """
        SeriesInstanceUID Modality SeriesNumber SeriesDate SeriesTime SeriesDescription
        BodyPartExamined Laterality ProtocolName OperatorsName PerformingPhysicianName
        InstitutionName InstitutionalDepartmentName StationName Manufacturer
        ManufacturerModelName PerformedProcedureStepStartDate PerformedProcedureStepStartTime
        RequestAttributesSequence TimezoneOffsetFromUTC
    """,
        Level.IMAGE: """
        SOPInstanceUID SOPClassUID InstanceNumber AcquisitionNumber AcquisitionDateTime
        ContentDate ContentTime InstanceCreationDate InstanceCreationTime ImageType Rows Columns
        BitsAllocated NumberOfFrames ConceptNameCodeSequence CompletionFlag VerificationFlag
        ContentLabel ContentDescription PresentationCreationDate ReferencedSeriesSequence
        TimezoneOffsetFromUTC
    """,
    }
)
