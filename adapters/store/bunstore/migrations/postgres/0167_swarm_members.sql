-- People of swarms. who is the name, the e-mail address or the UUID as it was given; key_id and email say whom it means, one of them is set.
CREATE TABLE swarm_members (
    tenant_id  uuid NOT NULL,
    id         uuid NOT NULL,
    swarm_id   uuid NOT NULL,
    who        text NOT NULL,
    key_id     uuid,
    email      text,
    role       text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX swarm_members_key ON swarm_members (tenant_id, swarm_id, key_id) WHERE key_id IS NOT NULL;
CREATE UNIQUE INDEX swarm_members_email ON swarm_members (tenant_id, swarm_id, email) WHERE email IS NOT NULL;
CREATE INDEX swarm_members_of_key ON swarm_members (tenant_id, key_id) WHERE key_id IS NOT NULL;
