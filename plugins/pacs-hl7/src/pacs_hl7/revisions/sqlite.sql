-- revision: hl7_3
-- Made by python -m pacs_database.snapshots hl7 pacs_hl7.revisions
CREATE TABLE hl7_messages (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    received DOUBLE NOT NULL,
    sender TEXT NOT NULL,
    control_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    patient TEXT NOT NULL,
    digest TEXT NOT NULL,
    content BLOB NOT NULL,
    state TEXT NOT NULL,
    result TEXT NOT NULL,
    answer BLOB NOT NULL
, "conflict" TEXT DEFAULT '' NOT NULL, effects TEXT DEFAULT '' NOT NULL);
CREATE TABLE hl7_outgoing (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL,
    created DOUBLE NOT NULL,
    control_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    content BLOB NOT NULL,
    state TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE TABLE hl7_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT hl7_revisions_pkc PRIMARY KEY (version_num)
);
CREATE INDEX hl7_messages_conflict ON hl7_messages ("conflict");
CREATE INDEX hl7_messages_patient ON hl7_messages (patient);
CREATE UNIQUE INDEX hl7_messages_same ON hl7_messages (control_id, sender, digest);
CREATE INDEX hl7_messages_state ON hl7_messages (state, received);
CREATE INDEX hl7_outgoing_next ON hl7_outgoing (state, peer, number);
CREATE UNIQUE INDEX hl7_outgoing_same ON hl7_outgoing (peer, control_id);
