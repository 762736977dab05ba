-- revision: print_1
-- Made by python -m pacs_database.snapshots print pacs_sop_print.revisions
CREATE TABLE print_jobs (
    uid TEXT NOT NULL,
    folder TEXT NOT NULL,
    state TEXT NOT NULL,
    info TEXT NOT NULL,
    error TEXT NOT NULL,
    priority TEXT NOT NULL,
    label TEXT NOT NULL,
    originator TEXT NOT NULL,
    films INTEGER NOT NULL,
    created TEXT NOT NULL,
    changed DOUBLE NOT NULL,
    PRIMARY KEY (uid)
);
CREATE TABLE print_revisions (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT print_revisions_pkc PRIMARY KEY (version_num)
);
CREATE INDEX print_jobs_state ON print_jobs (state, changed);
