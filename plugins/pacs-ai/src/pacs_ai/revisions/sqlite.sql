-- revision: ai_3
-- Made by python -m pacs_database.snapshots ai pacs_ai.revisions
CREATE TABLE ai_breakers (
    service TEXT NOT NULL,
    failures INTEGER NOT NULL,
    open_until DOUBLE NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (service)
);
CREATE TABLE ai_findings (
    result BIGINT NOT NULL,
    finding TEXT NOT NULL,
    service TEXT NOT NULL,
    version TEXT NOT NULL,
    assessment TEXT NOT NULL,
    assessed_by TEXT NOT NULL,
    comment TEXT NOT NULL,
    assessed DOUBLE NOT NULL,
    PRIMARY KEY (result, finding)
);
CREATE TABLE ai_requests (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    service TEXT NOT NULL,
    version TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    inputs TEXT NOT NULL,
    priority INTEGER NOT NULL,
    asked_by TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    note TEXT NOT NULL,
    created DOUBLE NOT NULL,
    asked DOUBLE NOT NULL,
    answered DOUBLE NOT NULL,
    job BIGINT NOT NULL,
    token TEXT NOT NULL,
    names TEXT NOT NULL,
    UNIQUE (service, version, study_uid, fingerprint)
);
CREATE TABLE ai_results (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    request BIGINT NOT NULL,
    service TEXT NOT NULL,
    version TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL,
    reasons TEXT NOT NULL,
    fixes TEXT NOT NULL,
    arrived DOUBLE NOT NULL,
    changed DOUBLE NOT NULL,
    changed_by TEXT NOT NULL,
    assessment TEXT NOT NULL,
    assessed_by TEXT NOT NULL,
    assessed DOUBLE NOT NULL,
    comment TEXT NOT NULL,
    assessment_uid TEXT NOT NULL,
    is_hidden INTEGER NOT NULL,
    UNIQUE (service, request, digest)
);
CREATE TABLE ai_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT ai_revisions_pkc PRIMARY KEY (version_num)
);
CREATE TABLE ai_steps (
    step_uid TEXT NOT NULL,
    transaction_uid TEXT NOT NULL,
    requests TEXT NOT NULL,
    PRIMARY KEY (step_uid)
);
CREATE INDEX ai_requests_state ON ai_requests (state, created);
CREATE INDEX ai_requests_study ON ai_requests (study_uid, service);
CREATE INDEX ai_results_hidden ON ai_results (is_hidden);
CREATE INDEX ai_results_instance ON ai_results (instance_uid);
CREATE INDEX ai_results_request ON ai_results (request);
CREATE INDEX ai_results_study ON ai_results (study_uid);
