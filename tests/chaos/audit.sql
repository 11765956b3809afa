-- What happens to claims and generations, written in the transaction in which it happens.
-- A campaign puts this into its own database; the product knows nothing of it.

CREATE TABLE chaos_audit (
    id                 bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at                 timestamptz NOT NULL DEFAULT clock_timestamp(),
    user_id            text        NOT NULL,
    upstream_id        text        NOT NULL,
    state              text        NOT NULL,
    generation         bigint      NOT NULL,
    claim_owner        text,
    claim_epoch        bigint      NOT NULL,
    claim_kind         text,
    claimed_at         timestamptz,
    refresh_token_dead boolean     NOT NULL
);

CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (user_id, upstream_id, state, generation, claim_owner, claim_epoch, claim_kind,
        claimed_at, refresh_token_dead)
    VALUES (NEW.user_id, NEW.upstream_id, NEW.state, NEW.generation, NEW.claim_owner, NEW.claim_epoch,
        NEW.claim_kind, NEW.claimed_at, NEW.refresh_token_dead);
    RETURN NULL;
END $$;

CREATE TRIGGER chaos_begun AFTER INSERT ON grants FOR EACH ROW EXECUTE FUNCTION chaos_note();

CREATE TRIGGER chaos_changed AFTER UPDATE ON grants FOR EACH ROW
    WHEN ((OLD.state, OLD.generation, OLD.claim_owner, OLD.claim_epoch, OLD.claim_kind, OLD.claimed_at,
           OLD.refresh_token_dead)
          IS DISTINCT FROM
          (NEW.state, NEW.generation, NEW.claim_owner, NEW.claim_epoch, NEW.claim_kind, NEW.claimed_at,
           NEW.refresh_token_dead))
    EXECUTE FUNCTION chaos_note();
