-- Which spans and log records were taken: each once, in the order of their numbers.
CREATE TABLE span_arrivals (
    tenant_id uuid NOT NULL,
    event_id  uuid NOT NULL,
    number    uuid NOT NULL,
    parent_id uuid,
    billed    smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, event_id)
);

CREATE UNIQUE INDEX span_arrivals_number ON span_arrivals (tenant_id, number);
CREATE INDEX span_arrivals_parent ON span_arrivals (tenant_id, parent_id) WHERE billed = 1 AND parent_id IS NOT NULL;
