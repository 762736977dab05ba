-- revision: commitment_2
-- Made by python -m pacs_database.snapshots commitment pacs_sop_storage_commitment.revisions
CREATE TABLE commitment_holds (
    instance_uid TEXT NOT NULL,
    number BIGINT NOT NULL,
    peer TEXT NOT NULL,
    since DOUBLE NOT NULL,
    PRIMARY KEY (instance_uid, number)
);
CREATE TABLE commitment_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT commitment_revisions_pkc PRIMARY KEY (version_num)
);
CREATE TABLE commitment_transactions (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    direction TEXT NOT NULL,
    peer TEXT NOT NULL,
    uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    instances TEXT NOT NULL,
    failed TEXT NOT NULL,
    note TEXT NOT NULL,
    created DOUBLE NOT NULL,
    changed DOUBLE NOT NULL,
    UNIQUE (direction, peer, uid, digest)
);
CREATE INDEX commitment_changed ON commitment_transactions (state, changed);
CREATE INDEX commitment_holds_number ON commitment_holds (number, since);
