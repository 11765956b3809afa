-- Users of the app, their grants, the lineage of their access tokens, and what happened to them.
-- Tokens are sealed before they come here (AES-256-GCM; the key's id stands in the row).

CREATE TABLE users (
    client           text        NOT NULL,
    user_id          text        NOT NULL,
    upstream_id      text,
    email            text,
    profile          jsonb       NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL,
    vouched_at       timestamptz NOT NULL,
    refreshed_at     timestamptz,
    -- A create that was begun: committed before upstream is asked.
    intent_owner     text,
    intent_epoch     bigint      NOT NULL DEFAULT 0,
    intent_begun_at  timestamptz,
    intent_at        timestamptz,
    intent_attempts  integer     NOT NULL DEFAULT 0,
    intent_uncertain boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (client, user_id),
    UNIQUE (client, upstream_id),
    UNIQUE (client, email)
);

CREATE TABLE grants (
    client                   text        NOT NULL,
    user_id                  text        NOT NULL,
    upstream_id              text        NOT NULL,
    state                    text        NOT NULL CHECK (state IN ('LIVE', 'DEAD', 'PAUSED')),
    reason                   text        NOT NULL,
    generation               bigint      NOT NULL,
    key_id                   text        NOT NULL,
    access_sealed            bytea       NOT NULL,
    refresh_sealed           bytea       NOT NULL,
    issued_at                timestamptz NOT NULL,
    expires_at               timestamptz NOT NULL,
    refresh_at               timestamptz NOT NULL,
    refresh_token_expires_at timestamptz,
    first_used_at            timestamptz,
    -- The claim: generation's refresh token is being presented, by owner, since claimed_at.
    claim_owner              text,
    claim_epoch              bigint      NOT NULL DEFAULT 0,
    claim_kind               text        CHECK (claim_kind IN ('refresh', 'force')),
    claimed_at               timestamptz,
    -- Marks.
    refused                  boolean     NOT NULL DEFAULT false,
    distrusted_until         timestamptz,
    refresh_token_dead       boolean     NOT NULL DEFAULT false,
    force_pending            boolean     NOT NULL DEFAULT false,
    not_before_generation    bigint      NOT NULL DEFAULT 0,
    -- Failure and schedule.
    failures                 integer     NOT NULL DEFAULT 0,
    retry_at                 timestamptz,
    last_error               text,
    last_error_at            timestamptz,
    due_at                   timestamptz,
    PRIMARY KEY (client, user_id),
    FOREIGN KEY (client, user_id) REFERENCES users ON DELETE CASCADE
);

-- The worker reads this index and never the table.
CREATE INDEX grants_due ON grants (client, due_at) WHERE due_at IS NOT NULL;

-- Fingerprints of every access token a grant has had; a partition a day is dropped when its day is over.
CREATE TABLE lineage (
    fingerprint  bytea       NOT NULL,
    key_id       text        NOT NULL,
    client       text        NOT NULL,
    user_id      text        NOT NULL,
    generation   bigint      NOT NULL,
    counts_until timestamptz NOT NULL,
    PRIMARY KEY (fingerprint, counts_until)
) PARTITION BY RANGE (counts_until);

CREATE TABLE lineage_rest PARTITION OF lineage DEFAULT;
CREATE INDEX lineage_user ON lineage (client, user_id);

-- No foreign key: what happened outlives the user until it is pruned.
CREATE TABLE events (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client     text        NOT NULL,
    user_id    text        NOT NULL,
    at         timestamptz NOT NULL,
    event      text        NOT NULL,
    generation bigint,
    reason     text,
    trigger    text,
    actor      text
);

CREATE INDEX events_user ON events (client, user_id, id DESC);
CREATE INDEX events_at ON events (at);
