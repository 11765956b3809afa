"""What is rare stands at 0 before it happens: Prometheus does not see a counter rise that begins at 1."""

import pytest

from service.broker.model import Trigger, UserKey
from service.metrics import Metrics, Telemetry

USER = UserKey("acme", "u-1")
RARE = [
    ("refresh.rotated", {"trigger": Trigger.KEEPALIVE, "lead_s": 0.0}, "refreshes_total"),
    ("grant.recovered", {"kind": "force"}, "recoveries_total"),
    ("grant.recovered", {"kind": "recover"}, "recoveries_total"),
    ("grant.unreadable", {"generation": 3}, "unreadable_total"),
    ("token.reuse", {"kind": "revoked"}, "token_reuse_total"),
    ("token.reuse", {"kind": "far_behind"}, "token_reuse_total"),
    ("token.reuse", {"kind": "many_addresses"}, "token_reuse_total"),
    ("token.reuse", {"kind": "session_mismatch"}, "token_reuse_total"),
    ("token.reuse", {"kind": "secret"}, "token_reuse_total"),
    ("token.reuse", {"kind": "secret_like"}, "token_reuse_total"),
    ("events.dropped", {"count": 1}, "events_dropped_total"),
    ("webhook.given_up", {"type": "grant.died", "seconds": 0.1}, "webhook_messages_total"),
]


@pytest.fixture
def telemetry():
    telemetry = Telemetry(Metrics())
    telemetry.metrics.expect(["acme"])
    telemetry.note("webhook.started", types=["grant.died"])
    return telemetry


def samples(telemetry, name):
    lines = telemetry.metrics.render().decode().splitlines()
    return [line for line in lines if line.startswith((f"token_broker_{name}{{", f"token_broker_{name} "))]


@pytest.mark.parametrize(("event", "facts", "name"), RARE)
def test_the_first_of_its_kind_moves_what_was_there_before(telemetry, event, facts, name):
    before = samples(telemetry, name)
    assert {line.rsplit(" ", 1)[1] for line in before} == {"0.0"}
    telemetry.note(event, USER, **facts)
    after = samples(telemetry, name)
    assert len(after) == len(before)
    assert sum(line.endswith(" 1.0") for line in after) == 1
