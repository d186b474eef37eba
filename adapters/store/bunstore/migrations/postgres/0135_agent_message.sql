-- What agents tell each other. The payload is kept as it was sent.
CREATE TABLE agent_messages (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    sender_id    uuid NOT NULL,
    receiver_id  uuid NOT NULL,
    message_type text NOT NULL,
    trace_id     text NOT NULL,
    payload      text,
    at           timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agent_messages_time ON agent_messages (tenant_id, at, id);
CREATE INDEX agent_messages_sender ON agent_messages (tenant_id, sender_id, at, id);
CREATE INDEX agent_messages_receiver ON agent_messages (tenant_id, receiver_id, at, id);
CREATE INDEX agent_messages_type ON agent_messages (tenant_id, message_type, at, id);
CREATE INDEX agent_messages_trace ON agent_messages (tenant_id, trace_id, at, id) WHERE trace_id <> '';

-- What users think. agent_id is whom it is about, whatever the target; rating is 0 for none. The indexes by time hold all that is added up.
CREATE TABLE feedback (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    agent_id      uuid NOT NULL,
    target_type   text NOT NULL,
    target_id     uuid NOT NULL,
    feedback_type text NOT NULL,
    rating        bigint NOT NULL,
    comment       text NOT NULL,
    user_name     text NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX feedback_time ON feedback (tenant_id, at, id, agent_id, feedback_type, rating);
CREATE INDEX feedback_agent ON feedback (tenant_id, agent_id, at, id, feedback_type, rating);
CREATE INDEX feedback_target ON feedback (tenant_id, target_id, at, id);
CREATE INDEX feedback_target_type ON feedback (tenant_id, target_type, at, id);
CREATE INDEX feedback_type ON feedback (tenant_id, feedback_type, at, id);
