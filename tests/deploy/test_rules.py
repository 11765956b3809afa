"""Every alert fires when its trouble lasts, not before, and no other does: judged by promtool.

Each trouble begins at minute 120 of a world in which all is well, and beside another installation that is and
stays well: it must not hide the trouble, nor be accused of it.
"""

import subprocess
from dataclasses import dataclass

import pytest
import yaml

from tests.support.prometheus import program
from tests.support.promql import RULES, alerts

BEGINS = 120
MINUTES = 300
SERVICE = 'namespace="prod",job="broker",instance="a:9090"'
WORKER = 'namespace="prod",job="broker",instance="b:9090"'
C = 'client="acme"'
PAGES = 'route="/refresh"'
WELL = {
    f"up{{{SERVICE}}}": "1x{n}",
    f"up{{{WORKER}}}": "1x{n}",
    **{
        f'token_broker_degraded{{{process},dependency="{name}"}}': "0x{n}"
        for process in (SERVICE, WORKER)
        for name in ("postgres", "redis", "upstream")
    },
    f"token_broker_circuit_open{{{SERVICE},{C}}}": "0x{n}",
    f"token_broker_circuit_open{{{WORKER},{C}}}": "0x{n}",
    f"token_broker_client_secret_old{{{WORKER},{C}}}": "0x{n}",
    f"token_broker_last_sweep_timestamp_seconds{{{WORKER}}}": "0+60x{n}",
    f"token_broker_bricked_users{{{WORKER},{C}}}": "0x{n}",
    f'token_broker_users{{{WORKER},{C},state="DEAD"}}': "3x{n}",
    f"token_broker_overdue_seconds{{{WORKER},{C}}}": "4x{n}",
    f"token_broker_expired_claims{{{WORKER},{C}}}": "0x{n}",
    f"token_broker_unreadable_total{{{WORKER},{C}}}": "0x{n}",
    f"token_broker_rate_budget_remaining{{{SERVICE},{C}}}": "0x{n}",
    f"token_broker_rate_budget_remaining{{{WORKER},{C}}}": "30x{n}",
    f"token_broker_events_dropped_total{{{SERVICE}}}": "0x{n}",
    f'token_broker_webhook_messages_total{{{WORKER},type="grant.died",outcome="given_up"}}': "0x{n}",
    f'token_broker_token_reuse_total{{{SERVICE},kind="revoked"}}': "0x{n}",
    **{
        f'token_broker_token_reuse_total{{{SERVICE},kind="{kind}"}}': "0x{n}"
        for kind in ("session_mismatch", "many_addresses", "far_behind", "secret", "secret_like")
    },
    f'token_broker_answers_total{{{SERVICE},source="redis"}}': "0+100x{n}",
    f'token_broker_recoveries_total{{{SERVICE},{C},kind="force"}}': "0x{n}",
    f'token_broker_refreshes_total{{{SERVICE},{C},trigger="request",outcome="rotated"}}': "0+10x{n}",
    f'token_broker_refreshes_total{{{WORKER},{C},trigger="ahead",outcome="rotated"}}': "0+30x{n}",
    f'token_broker_upstream_requests_total{{{WORKER},{C},call="refresh",outcome="rotated"}}': "0+40x{n}",
    f'token_broker_upstream_requests_total{{{WORKER},{C},call="refresh",outcome="unavailable"}}': "0x{n}",
    f'token_broker_http_requests_total{{{SERVICE},{PAGES},status="200"}}': "0+100x{n}",
    f'token_broker_http_requests_total{{{SERVICE},{PAGES},status="503"}}': "0x{n}",
    f'token_broker_http_requests_total{{{SERVICE},route="/readyz",status="503"}}': "0+60x{n}",
    f'token_broker_http_request_seconds_bucket{{{SERVICE},{PAGES},le="0.5"}}': "0+99x{n}",
    f'token_broker_http_request_seconds_bucket{{{SERVICE},{PAGES},le="5"}}': "0+100x{n}",
    f'token_broker_http_request_seconds_bucket{{{SERVICE},{PAGES},le="+Inf"}}': "0+100x{n}",
}
OF_WORKER = tuple(name for name in WELL if WORKER in name)
OF_SERVICE = tuple(name for name in WELL if SERVICE in name)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong: series by a part of their name, as they go on from minute 120.

    `quiet`: the last minute after it began at which the alert does not fire; `firing`: one at which it does.
    `besides`: other alerts that the same trouble sets off. `ends`: series that are no longer there.
    """

    alert: str
    changes: dict
    quiet: int
    firing: int
    besides: tuple = ()
    ends: tuple = ()

    def series(self):
        """The whole world's series with this trouble in it."""
        after = {name: values for part, values in self.changes.items() for name in _named(part)}
        assert after.keys() | set(self.ends)
        for name, values in {**dict.fromkeys(after, ""), **WELL}.items():
            then = "stale" if name in self.ends else after.get(name, "").format(n=MINUTES - BEGINS)
            whole = values.format(n=BEGINS - 1 if then else MINUTES) or f"_x{BEGINS}"
            yield {"series": name, "values": f"{whole} {then}"}
        yield from [] if self.nothing_left else elsewhere()

    @property
    def nothing_left(self):
        """Whether nothing of the broker is seen any more; then no label says which installation it was."""
        return len(self.ends) == len(WELL)


def elsewhere():
    """The same of another installation, in which all is well."""
    return [{**one, "series": one["series"].replace('="prod"', '="dev"')} for one in well()]


def _named(part):
    """The series of the world with this in their names, or a new one whose whole name it is."""
    return [name for name in WELL if part in name] or [part]


UNAVAILABLE = 'call="refresh",outcome="unavailable"'
ERRED = f'token_broker_http_requests_total{{{SERVICE},{PAGES},status="500"}}'
TROUBLES = [
    Trouble("TokenBrokerUsersBricked", {"bricked_users": "2x{n}"}, quiet=0, firing=2),
    Trouble("TokenBrokerUsersDied", {'state="DEAD"': "5x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerGrantsUnreadable", {"unreadable_total": "1x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerErrors", {f'{PAGES},status="503"': "10+10x{n}"}, quiet=4, firing=9),
    Trouble("TokenBrokerInternalError", {ERRED: "1x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerInternalError", {ERRED: "1x30 2x{n}"}, quiet=25, firing=32),
    Trouble("TokenBrokerSlow", {f'{PAGES},le="0.5"': "11880+80x{n}"}, quiet=9, firing=20),
    Trouble("TokenBrokerTokenReuse", {'kind="revoked"': "1x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerManyAddresses", {'kind="many_addresses"': "1x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerFarBehind", {'kind="far_behind"': "30+30x{n}"}, quiet=35, firing=45),
    Trouble("TokenBrokerSecretPresented", {'kind="secret"': "1x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerSecretLikePresented", {'kind="secret_like"': "1x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerAuditIncomplete", {"events_dropped": "40x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerWebhookGivenUp", {'outcome="given_up"': "1x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerSessionMismatch", {'kind="session_mismatch"': "1x{n}"}, quiet=-1, firing=1),
    Trouble("TokenBrokerCircuitOpen", {f"circuit_open{{{WORKER}": "1x{n}"}, quiet=0, firing=2),
    Trouble("TokenBrokerOldClientSecret", {"client_secret_old": "1x{n}"}, quiet=59, firing=61),
    Trouble("TokenBrokerUpstreamFailing", {UNAVAILABLE: "30+30x{n}"}, quiet=4, firing=9),
    Trouble("TokenBrokerForcedShare", {'kind="force"': "20+1x{n}"}, quiet=0, firing=2),
    Trouble("TokenBrokerCallsPerPair", {UNAVAILABLE: "8+8x{n}"}, quiet=19, firing=60),
    Trouble("TokenBrokerRateBudgetExhausted", {f"budget_remaining{{{WORKER}": "0x{n}"}, quiet=4, firing=6),
    Trouble("TokenBrokerSweepSilent", {"last_sweep": "7140x{n}"}, quiet=1, firing=4),
    Trouble("TokenBrokerSweepSilent", {}, quiet=0, firing=1, ends=OF_WORKER),
    Trouble("TokenBrokerOverdue", {"overdue_seconds": "60+60x{n}"}, quiet=14, firing=18),
    Trouble("TokenBrokerExpiredClaims", {"expired_claims": "1x{n}"}, quiet=9, firing=11),
    # While a circuit is open nobody looks at the budget: what it shows is from before.
    Trouble(
        "TokenBrokerCircuitOpen",
        {f"circuit_open{{{WORKER}": "1x{n}", f"budget_remaining{{{WORKER}": "0x{n}"},
        quiet=0,
        firing=9,
    ),
    Trouble(
        "TokenBrokerPostgresDown", {f'degraded{{{SERVICE},dependency="postgres"': "1x{n}"}, quiet=0, firing=2
    ),
    Trouble("TokenBrokerDegraded", {f'degraded{{{SERVICE},dependency="redis"': "1x{n}"}, quiet=4, firing=6),
    Trouble("TokenBrokerTargetDown", {f"up{{{SERVICE}": "0x{n}"}, quiet=4, firing=6),
    Trouble("TokenBrokerServiceAbsent", {}, quiet=1, firing=3, ends=OF_SERVICE),
    Trouble(
        "TokenBrokerAbsent",
        {},
        quiet=4,
        firing=6,
        besides=("TokenBrokerSweepSilent",),
        ends=(*OF_SERVICE, *OF_WORKER),
    ),
]
# Nearly nobody is there: a pair every ten minutes.
IDLE = {
    'trigger="ahead"': "3600x{n}",
    'trigger="request"': "1200+0.1x{n}",
    'call="refresh",outcome="rotated"': "4800+0.1x{n}",
}
# What looks like trouble and is none.
HARMLESS = {
    "it is late but catches up": {"overdue_seconds": "4000-20x{n}"},
    "two of a thousand were had by force": {'kind="force"': "2x{n}"},
    "many were had by force among very many": {'kind="force"': "0+1x{n}", "ahead": "3600+1000x{n}"},
    "two of few were had by force": {'kind="force"': "0x40 2x{n}", **IDLE},
    "a few of few calls fail": {UNAVAILABLE: "0+0.1x{n}", **IDLE},
    "few of many calls fail": {UNAVAILABLE: "1+1x{n}"},
    "few requests fail": {f'{PAGES},status="503"': "4+4x{n}"},
    "some pages slept for hours": {'kind="far_behind"': "0+15x{n}"},
    "dead users are deleted": {'state="DEAD"': "1x{n}"},
}


def promtool(*arguments):
    """Run it and return what it says that is wrong."""
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def run(folder, *tests):
    """Have promtool judge these, and return what it says that is wrong."""
    world = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": list(tests)}
    file = folder / "rules_test.yaml"
    file.write_text(yaml.safe_dump(world, width=1000))
    return promtool("test", "rules", file)


def firing(minute, *expected, where=',namespace="prod"'):
    """The alerts that are firing at a minute are these, about this installation, and no other."""
    samples = [{"labels": f'{{alertname="{name}"{where}}}', "value": 1} for name in expected]
    expr = 'group by (alertname, namespace) (ALERTS{alertstate="firing"})'
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}


def quiet(minute, alert):
    """This alert does not fire at a minute."""
    expr = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": []}


def world(series, *checks):
    return {"interval": "1m", "input_series": list(series), "promql_expr_test": list(checks)}


def well():
    return [{"series": name, "values": values.format(n=MINUTES)} for name, values in WELL.items()]


def test_prometheus_accepts_the_rules():
    assert promtool("check", "rules", RULES) == ""


def test_every_alert_has_its_trouble():
    assert {trouble.alert for trouble in TROUBLES} == alerts().keys()


def test_while_all_is_well_nothing_fires(tmp_path):
    pending = {"expr": "ALERTS", "eval_time": "290m", "exp_samples": []}
    checks = [firing(minute) for minute in (1, 30, 119, 200)]
    assert run(tmp_path, world(well(), *checks, pending)) == ""


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.alert)
def test_an_alert_fires_when_its_trouble_lasts_and_not_before(tmp_path, trouble):
    still_quiet = quiet(BEGINS + trouble.quiet, trouble.alert)
    where = {"where": ""} if trouble.nothing_left else {}
    fires = firing(BEGINS + trouble.firing, trouble.alert, *trouble.besides, **where)
    assert run(tmp_path, world(trouble.series(), still_quiet, fires)) == ""


@pytest.mark.parametrize("changes", HARMLESS.values(), ids=HARMLESS)
def test_what_only_looks_like_trouble_fires_nothing(tmp_path, changes):
    series = Trouble("none", changes, quiet=0, firing=0).series()
    checks = [firing(BEGINS + minute) for minute in range(0, 150, 10)]
    assert run(tmp_path, world(series, *checks)) == ""
