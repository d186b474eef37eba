-- Which files of a session's outputs directory are kept, and as what they were stored. modified_at is the sandbox's time of the file.
CREATE TABLE sandbox_outputs (
    tenant_id   uuid NOT NULL,
    session_id  uuid NOT NULL,
    path        text NOT NULL,
    file_id     uuid NOT NULL,
    size        bigint NOT NULL,
    modified_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, path)
);
