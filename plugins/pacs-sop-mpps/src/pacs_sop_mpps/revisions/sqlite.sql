-- revision: mpps_1
-- Made by python -m pacs_database.snapshots mpps pacs_sop_mpps.revisions
CREATE TABLE mpps_outbox (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    peer TEXT NOT NULL,
    instance_uid TEXT NOT NULL,
    operation TEXT NOT NULL,
    event_type INTEGER NOT NULL,
    attributes TEXT NOT NULL
);
CREATE TABLE mpps_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT mpps_revisions_pkc PRIMARY KEY (version_num)
);
CREATE TABLE mpps_scheduled (
    number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    study_uid TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    step_id TEXT NOT NULL,
    PRIMARY KEY (number, position),
    FOREIGN KEY(number) REFERENCES mpps_steps (number) ON DELETE CASCADE
);
CREATE TABLE mpps_steps (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    instance_uid TEXT NOT NULL,
    state TEXT NOT NULL,
    created_by TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    character_set TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created DOUBLE NOT NULL,
    changed DOUBLE NOT NULL,
    UNIQUE (instance_uid)
);
CREATE INDEX mpps_outbox_instance_uid ON mpps_outbox (instance_uid, channel, peer, number);
CREATE INDEX mpps_scheduled_accession_number ON mpps_scheduled (accession_number);
CREATE INDEX mpps_scheduled_study_uid ON mpps_scheduled (study_uid);
CREATE INDEX mpps_steps_patient_id ON mpps_steps (patient_id, number);
CREATE INDEX mpps_steps_state ON mpps_steps (state, changed);
