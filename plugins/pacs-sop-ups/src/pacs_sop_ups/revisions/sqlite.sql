-- revision: ups_3
-- Made by python -m pacs_database.snapshots ups pacs_sop_ups.revisions
CREATE TABLE ups_followers (
    instance_uid TEXT NOT NULL,
    receiver TEXT NOT NULL,
    has_lock BOOLEAN NOT NULL,
    PRIMARY KEY (instance_uid, receiver)
);
CREATE TABLE ups_globals (
    receiver TEXT NOT NULL,
    keys TEXT NOT NULL,
    has_lock BOOLEAN NOT NULL,
    PRIMARY KEY (receiver)
);
CREATE TABLE ups_outbox (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    receiver TEXT NOT NULL,
    instance_uid TEXT NOT NULL,
    event_type INTEGER NOT NULL,
    information TEXT NOT NULL,
    moment DOUBLE NOT NULL
);
CREATE TABLE ups_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT ups_revisions_pkc PRIMARY KEY (version_num)
);
CREATE TABLE ups_steps (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    instance_uid TEXT NOT NULL,
    state TEXT NOT NULL,
    transaction_uid TEXT NOT NULL,
    created_by TEXT NOT NULL,
    claimed_by TEXT NOT NULL,
    character_set TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created DOUBLE NOT NULL,
    changed DOUBLE NOT NULL, is_watched BOOLEAN DEFAULT 0 NOT NULL, cancel_request TEXT,
    UNIQUE (instance_uid)
);
CREATE INDEX ups_followers_receiver ON ups_followers (receiver);
CREATE INDEX ups_outbox_receiver ON ups_outbox (receiver, number);
CREATE INDEX ups_steps_state ON ups_steps (state, changed);
