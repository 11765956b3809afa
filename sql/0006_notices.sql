-- What the app is to be told through its webhook: written with the change it tells of, sent by the worker.
-- A notice stays for a while after it was sent, so that it can be sent again.

CREATE TABLE notices (
    seq           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            uuid        NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    type          text        NOT NULL,
    client        text        NOT NULL,
    -- Empty where it is about no user.
    user_id       text        NOT NULL DEFAULT '',
    -- What a second notice of the same thing has in common with the first, which then is the only one.
    mark          text        NOT NULL,
    facts         jsonb       NOT NULL DEFAULT '{}',
    -- How far it has come. It waits while it has no outcome, since `since`, and is tried when `next_at` has come.
    since         timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts      integer     NOT NULL DEFAULT 0,
    claim_owner   text,
    claimed_until timestamptz,
    last_error    text,
    outcome       text        CHECK (outcome IN ('delivered', 'given_up', 'unwanted')),
    settled_at    timestamptz,
    UNIQUE (client, user_id, type, mark)
);

CREATE INDEX notices_due ON notices (next_at, seq) WHERE outcome IS NULL;
CREATE INDEX notices_waiting ON notices (client, user_id, seq) WHERE outcome IS NULL;
CREATE INDEX notices_at ON notices (at);

-- The clients whose circuit some process holds open: it says so again and again while it does.
CREATE TABLE open_circuits (
    client    text        PRIMARY KEY,
    opened_at timestamptz NOT NULL,
    seen_at   timestamptz NOT NULL,
    reason    text        NOT NULL
);
