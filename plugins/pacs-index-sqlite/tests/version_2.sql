-- A database of schema version 2 with five instances, as its own code made it and dumped it.
BEGIN TRANSACTION;
CREATE TABLE instance (
        id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES series,
        SOPInstanceUID TEXT NOT NULL UNIQUE, SOPClassUID TEXT NOT NULL,
        transfer_syntax_uid TEXT NOT NULL, object_key TEXT NOT NULL,
        size INTEGER NOT NULL, dataset_offset INTEGER NOT NULL, InstanceNumber TEXT, InstanceNumber_number INTEGER, ContentDate TEXT, ContentDate_order TEXT, ContentTime TEXT, ContentTime_order TEXT, AcquisitionNumber TEXT, AcquisitionNumber_number INTEGER, AcquisitionDate TEXT, AcquisitionDate_order TEXT, AcquisitionTime TEXT, AcquisitionTime_order TEXT, AcquisitionDateTime TEXT, AcquisitionDateTime_order TEXT, Rows TEXT, Rows_number INTEGER, Columns TEXT, Columns_number INTEGER, BitsAllocated TEXT, BitsAllocated_number INTEGER, NumberOfFrames TEXT, NumberOfFrames_number INTEGER, ConceptNameCodeSequence TEXT, ContentLabel TEXT, ContentDescription TEXT);
INSERT INTO "instance" VALUES(1,1,'1.2.3.1.1.1','1.2.840.10008.5.1.4.1.1.2','1.2.840.10008.1.2.1','key/1.2.3.1.1.1',1000,400,'1',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "instance" VALUES(2,1,'1.2.3.1.1.2','1.2.840.10008.5.1.4.1.1.2','1.2.840.10008.1.2.1','key/1.2.3.1.1.2',1000,400,'2',2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "instance" VALUES(3,2,'1.2.3.1.2.1','1.2.840.10008.5.1.4.1.1.2','1.2.840.10008.1.2.1','key/1.2.3.1.2.1',1000,400,'1',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "instance" VALUES(4,3,'1.2.3.2.1.1','1.2.840.10008.5.1.4.1.1.2','1.2.840.10008.1.2.1','key/1.2.3.2.1.1',1000,400,'1',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "instance" VALUES(5,4,'1.2.3.3.1.1','1.2.840.10008.5.1.4.1.1.2','1.2.840.10008.1.2.1','key/1.2.3.3.1.1',1000,400,'1',1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE patient (
        id INTEGER PRIMARY KEY,
        PatientID TEXT NOT NULL, IssuerOfPatientID TEXT NOT NULL, alone TEXT NOT NULL, PatientName TEXT, PatientName_alphabetic TEXT, PatientName_ideographic TEXT, PatientName_phonetic TEXT, PatientBirthDate TEXT, PatientBirthDate_order TEXT, PatientBirthTime TEXT, PatientBirthTime_order TEXT, PatientSex TEXT, OtherPatientIDs TEXT, OtherPatientNames TEXT, OtherPatientNames_alphabetic TEXT, OtherPatientNames_ideographic TEXT, OtherPatientNames_phonetic TEXT, EthnicGroup TEXT, PatientComments TEXT, QualityControlSubject TEXT, PatientSpeciesDescription TEXT, ResponsiblePerson TEXT, ResponsiblePerson_alphabetic TEXT, ResponsiblePerson_ideographic TEXT, ResponsiblePerson_phonetic TEXT,
        UNIQUE (PatientID, IssuerOfPatientID, alone));
INSERT INTO "patient" VALUES(1,'P1','','','SMITH^JOHN','smith^john',NULL,NULL,'19500101','19500101',NULL,NULL,'M','X1\X2',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "patient" VALUES(2,'','','1.2.3.3','NEMO','nemo',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE series (
        id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER NOT NULL REFERENCES study,
        SeriesInstanceUID TEXT NOT NULL UNIQUE, Modality TEXT, SeriesNumber TEXT, SeriesNumber_number INTEGER, SeriesDescription TEXT, SeriesDate TEXT, SeriesDate_order TEXT, SeriesTime TEXT, SeriesTime_order TEXT, BodyPartExamined TEXT, ProtocolName TEXT, StationName TEXT, Laterality TEXT, InstitutionName TEXT, InstitutionalDepartmentName TEXT, Manufacturer TEXT, ManufacturerModelName TEXT, PerformingPhysicianName TEXT, PerformingPhysicianName_alphabetic TEXT, PerformingPhysicianName_ideographic TEXT, PerformingPhysicianName_phonetic TEXT, OperatorsName TEXT, OperatorsName_alphabetic TEXT, OperatorsName_ideographic TEXT, OperatorsName_phonetic TEXT, PerformedProcedureStepStartDate TEXT, PerformedProcedureStepStartDate_order TEXT, PerformedProcedureStepStartTime TEXT, PerformedProcedureStepStartTime_order TEXT, PerformedProcedureStepID TEXT, RequestAttributesSequence TEXT);
INSERT INTO "series" VALUES(1,1,'1.2.3.1.1','CT',NULL,NULL,'axial',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "series" VALUES(2,1,'1.2.3.1.2','MR',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'ONE^A\TWO^B',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "series" VALUES(3,2,'1.2.3.2.1','CT',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "series" VALUES(4,3,'1.2.3.3.1','CT',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE several (
        match TEXT NOT NULL, value NOT NULL, owner INTEGER NOT NULL,
        PRIMARY KEY (match, value, owner)) WITHOUT ROWID;
INSERT INTO "several" VALUES('OtherPatientIDs','X1',1);
INSERT INTO "several" VALUES('OtherPatientIDs','X2',1);
INSERT INTO "several" VALUES('PatientName_sound','J5',1);
INSERT INTO "several" VALUES('PatientName_sound','S53',1);
INSERT INTO "several" VALUES('OperatorsName_alphabetic','one^a',2);
INSERT INTO "several" VALUES('OperatorsName_alphabetic','two^b',2);
INSERT INTO "several" VALUES('PatientName_sound','N5',2);
CREATE TABLE study (
        id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES patient,
        StudyInstanceUID TEXT NOT NULL UNIQUE, StudyDate TEXT, StudyDate_order TEXT, StudyTime TEXT, StudyTime_order TEXT, AccessionNumber TEXT, IssuerOfAccessionNumberSequence TEXT, StudyID TEXT, StudyDescription TEXT, ReferringPhysicianName TEXT, ReferringPhysicianName_alphabetic TEXT, ReferringPhysicianName_ideographic TEXT, ReferringPhysicianName_phonetic TEXT, NameOfPhysiciansReadingStudy TEXT, NameOfPhysiciansReadingStudy_alphabetic TEXT, NameOfPhysiciansReadingStudy_ideographic TEXT, NameOfPhysiciansReadingStudy_phonetic TEXT, ProcedureCodeSequence TEXT, AdmittingDiagnosesDescription TEXT, PatientAge TEXT, PatientSize TEXT, PatientWeight TEXT, Occupation TEXT, AdditionalPatientHistory TEXT, TimezoneOffsetFromUTC TEXT);
INSERT INTO "study" VALUES(1,1,'1.2.3.1','20200101','20200101','1200','120000.000000',NULL,NULL,NULL,'HEAD',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "study" VALUES(2,1,'1.2.3.2','20210101','20210101',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "study" VALUES(3,2,'1.2.3.3',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE unflushed (SOPInstanceUID TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
INSERT INTO "unflushed" VALUES('1.2.3.1.1.2');
CREATE INDEX several_owner ON several (owner, match);
CREATE INDEX study_parent ON study (parent);
CREATE INDEX series_parent ON series (parent);
CREATE INDEX instance_parent ON instance (parent);
CREATE INDEX instance_SOPClassUID ON instance (SOPClassUID, parent);
CREATE INDEX patient_PatientName_alphabetic ON patient (PatientName_alphabetic) WHERE PatientName_alphabetic IS NOT NULL;
CREATE INDEX patient_PatientName_ideographic ON patient (PatientName_ideographic) WHERE PatientName_ideographic IS NOT NULL;
CREATE INDEX patient_PatientName_phonetic ON patient (PatientName_phonetic) WHERE PatientName_phonetic IS NOT NULL;
CREATE INDEX patient_PatientBirthDate_order ON patient (PatientBirthDate_order) WHERE PatientBirthDate_order IS NOT NULL;
CREATE INDEX patient_OtherPatientIDs ON patient (OtherPatientIDs) WHERE OtherPatientIDs IS NOT NULL;
CREATE INDEX study_StudyDate_order ON study (StudyDate_order, parent) WHERE StudyDate_order IS NOT NULL;
CREATE INDEX study_AccessionNumber ON study (AccessionNumber, parent) WHERE AccessionNumber IS NOT NULL;
CREATE INDEX study_StudyID ON study (StudyID, parent) WHERE StudyID IS NOT NULL;
CREATE INDEX study_StudyDescription ON study (StudyDescription, parent) WHERE StudyDescription IS NOT NULL;
CREATE INDEX study_ReferringPhysicianName_alphabetic ON study (ReferringPhysicianName_alphabetic, parent) WHERE ReferringPhysicianName_alphabetic IS NOT NULL;
CREATE INDEX study_ReferringPhysicianName_ideographic ON study (ReferringPhysicianName_ideographic, parent) WHERE ReferringPhysicianName_ideographic IS NOT NULL;
CREATE INDEX study_ReferringPhysicianName_phonetic ON study (ReferringPhysicianName_phonetic, parent) WHERE ReferringPhysicianName_phonetic IS NOT NULL;
CREATE INDEX series_Modality ON series (Modality, parent) WHERE Modality IS NOT NULL;
CREATE INDEX series_SeriesDescription ON series (SeriesDescription, parent) WHERE SeriesDescription IS NOT NULL;
CREATE INDEX series_SeriesDate_order ON series (SeriesDate_order, parent) WHERE SeriesDate_order IS NOT NULL;
CREATE INDEX series_BodyPartExamined ON series (BodyPartExamined, parent) WHERE BodyPartExamined IS NOT NULL;
CREATE INDEX series_StationName ON series (StationName, parent) WHERE StationName IS NOT NULL;
CREATE INDEX series_PerformedProcedureStepStartDate_order ON series (PerformedProcedureStepStartDate_order, parent) WHERE PerformedProcedureStepStartDate_order IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('series',4);
COMMIT;
PRAGMA user_version = 2;
