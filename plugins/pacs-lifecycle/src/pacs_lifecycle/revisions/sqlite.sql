-- revision: lifecycle_3
-- Made by python -m pacs_database.snapshots lifecycle pacs_lifecycle.revisions
CREATE TABLE lifecycle_bin (
    "key" TEXT NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    instance TEXT NOT NULL,
    sop_class TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    size BIGINT NOT NULL,
    dataset_offset INTEGER NOT NULL,
    digest TEXT NOT NULL,
    corrections TEXT NOT NULL,
    came TEXT NOT NULL,
    patient TEXT NOT NULL,
    deleted DOUBLE NOT NULL,
    deleted_by TEXT NOT NULL,
    state TEXT NOT NULL,
    since DOUBLE NOT NULL,
    PRIMARY KEY ("key")
);
CREATE TABLE lifecycle_bin_aside (
    "key" TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY ("key")
);
CREATE TABLE lifecycle_findings (
    "key" TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    kind TEXT NOT NULL,
    instance TEXT NOT NULL,
    detail TEXT NOT NULL,
    found DOUBLE NOT NULL,
    PRIMARY KEY ("key")
);
CREATE TABLE lifecycle_holds (
    study TEXT NOT NULL,
    reason TEXT NOT NULL,
    held_by TEXT NOT NULL,
    since DOUBLE NOT NULL,
    PRIMARY KEY (study)
);
CREATE TABLE lifecycle_passes (
    name TEXT NOT NULL,
    position TEXT NOT NULL,
    began DOUBLE NOT NULL,
    ended DOUBLE NOT NULL,
    held_until DOUBLE NOT NULL,
    checked BIGINT NOT NULL,
    unread BIGINT NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE lifecycle_quotas (
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    studies BIGINT NOT NULL,
    instances BIGINT NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE lifecycle_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT lifecycle_revisions_pkc PRIMARY KEY (version_num)
);
CREATE TABLE lifecycle_studies (
    uid TEXT NOT NULL,
    arrived DOUBLE NOT NULL,
    complete BOOLEAN NOT NULL,
    PRIMARY KEY (uid)
);
CREATE TABLE lifecycle_usage (
    quota TEXT NOT NULL,
    study TEXT NOT NULL,
    instances BIGINT NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (quota, study)
);
CREATE INDEX lifecycle_bin_aside_owner ON lifecycle_bin_aside (owner);
CREATE INDEX lifecycle_bin_deleted ON lifecycle_bin (deleted);
CREATE INDEX lifecycle_bin_study ON lifecycle_bin (study, "key");
CREATE INDEX lifecycle_findings_kind ON lifecycle_findings (kind);
CREATE INDEX lifecycle_studies_arrived ON lifecycle_studies (arrived, uid);
CREATE INDEX lifecycle_usage_study ON lifecycle_usage (study);
