-- revision: tiered_1
-- Made by python -m pacs_database.snapshots tiered pacs_store_tiered.revisions
CREATE TABLE tiered_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT tiered_revisions_pkc PRIMARY KEY (version_num)
);
CREATE TABLE tiered_studies (
    uid TEXT NOT NULL,
    arrived DOUBLE NOT NULL,
    used DOUBLE NOT NULL,
    complete BOOLEAN NOT NULL,
    pinned TEXT NOT NULL,
    PRIMARY KEY (uid)
);
CREATE INDEX tiered_studies_used ON tiered_studies (used, uid);
