-- revision: worklist_2
-- Made by python -m pacs_database.snapshots worklist pacs_sop_worklist.revisions
CREATE TABLE worklist_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT worklist_revisions_pkc PRIMARY KEY (version_num)
);
CREATE TABLE worklist_stations (
    ae_title TEXT NOT NULL,
    is_open BOOLEAN NOT NULL,
    start TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (ae_title, is_open, start, number),
    FOREIGN KEY(number) REFERENCES worklist_steps (number) ON DELETE CASCADE
);
CREATE TABLE worklist_steps (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    is_open BOOLEAN NOT NULL,
    start TEXT NOT NULL,
    modality TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    attributes TEXT NOT NULL,
    performed TEXT NOT NULL,
    changed DOUBLE NOT NULL, patient_name TEXT,
    UNIQUE (identity)
);
CREATE INDEX worklist_accession_number ON worklist_steps (is_open, accession_number, number);
CREATE INDEX worklist_patient_id ON worklist_steps (is_open, patient_id, number);
CREATE INDEX worklist_performed ON worklist_steps (performed);
CREATE INDEX worklist_source ON worklist_steps (source);
CREATE INDEX worklist_start_name ON worklist_steps (is_open, start, number, patient_name);
CREATE INDEX worklist_stations_number ON worklist_stations (number);
CREATE INDEX worklist_study_uid ON worklist_steps (study_uid);
