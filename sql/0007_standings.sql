-- What the operator page shows: how a client's grants stood when they were last counted, and what happened to
-- them minute by minute. The worker writes both once a minute, so that nobody who looks counts a million rows.

CREATE TABLE standings (
    client     text        PRIMARY KEY,
    counted_at timestamptz NOT NULL,
    standing   jsonb       NOT NULL
);

CREATE TABLE minutes (
    client    text        NOT NULL,
    at        timestamptz NOT NULL,
    rotated   integer     NOT NULL,
    failed    integer     NOT NULL,
    recovered integer     NOT NULL,
    died      integer     NOT NULL,
    PRIMARY KEY (client, at)
);
