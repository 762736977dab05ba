-- revision: jobs_3
-- Made by python -m pacs_database.snapshots jobs pacs_jobs.revisions
CREATE TABLE jobs (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    arguments TEXT NOT NULL,
    priority INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    idempotency_key TEXT,
    state TEXT NOT NULL,
    due DOUBLE NOT NULL,
    attempts INTEGER NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    note TEXT NOT NULL,
    error TEXT NOT NULL,
    worker TEXT NOT NULL,
    token TEXT NOT NULL,
    leased_until DOUBLE,
    created DOUBLE NOT NULL,
    ended DOUBLE,
    cancel_requested BOOLEAN NOT NULL, correlation TEXT DEFAULT '' NOT NULL, trace_parent TEXT DEFAULT '' NOT NULL,
    UNIQUE (idempotency_key)
);
CREATE TABLE jobs_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT jobs_revisions_pkc PRIMARY KEY (version_num)
);
CREATE INDEX jobs_due ON jobs (kind, due) WHERE state = 'waiting';
CREATE INDEX jobs_ended ON jobs (state, ended);
CREATE INDEX jobs_leased ON jobs (leased_until) WHERE state = 'running';
CREATE UNIQUE INDEX jobs_running_key ON jobs ("key") WHERE state = 'running' AND key <> '';
CREATE INDEX jobs_waiting ON jobs (kind, priority DESC, due, number) WHERE state = 'waiting';
CREATE INDEX jobs_waiting_key ON jobs (kind, "key", priority DESC, due, number) WHERE state = 'waiting';
