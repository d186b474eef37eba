-- Which files of a session's outputs directory are kept, and as what they were stored. modified_at is the sandbox's time of the file.
CREATE TABLE sandbox_outputs (
    tenant_id   TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    path        TEXT NOT NULL,
    file_id     TEXT NOT NULL,
    size        INTEGER NOT NULL,
    modified_at TEXT NOT NULL,
    PRIMARY KEY (session_id, path)
);
