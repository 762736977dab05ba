-- revision: routing_1
-- Made by python -m pacs_database.snapshots routing pacs_routing.revisions
CREATE TABLE routing_deliveries (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL,
    peer TEXT NOT NULL,
    lane INTEGER NOT NULL,
    study_uid TEXT NOT NULL,
    instance_uid TEXT NOT NULL,
    version TEXT NOT NULL,
    deidentify TEXT NOT NULL,
    priority INTEGER NOT NULL,
    is_ordered BOOLEAN NOT NULL,
    is_committed BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due DOUBLE NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    sent_uid TEXT NOT NULL,
    created DOUBLE NOT NULL,
    changed DOUBLE NOT NULL,
    UNIQUE (study_uid, instance_uid, peer, version, deidentify)
);
CREATE TABLE routing_lanes (
    peer TEXT NOT NULL,
    lane INTEGER NOT NULL,
    job BIGINT NOT NULL,
    PRIMARY KEY (peer, lane)
);
CREATE TABLE routing_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT routing_revisions_pkc PRIMARY KEY (version_num)
);
CREATE INDEX routing_changed ON routing_deliveries (state, changed);
CREATE INDEX routing_waiting ON routing_deliveries (peer, lane, priority DESC, number) WHERE state = 'waiting';
CREATE INDEX routing_waiting_studies ON routing_deliveries (peer, study_uid, number) WHERE state = 'waiting';
