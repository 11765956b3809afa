"""One line for each event, with everything that helps and nothing that harms."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from service.broker.errors import StorageUnavailable
from service.broker.model import Trigger, UserKey
from service.logs import configure_logs, error_facts, get_log, keep_secret
from service.logs.lines import LineMaker, as_json, as_text
from service.logs.redaction import Redactor
from tests.support.written_logs import raised, written_logs

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJvd25lcklkIjo3fQ.c2lnbmF0dXJl"
INSTANT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def written():
    """The logs of this test."""
    with written_logs() as written:
        yield written


def test_a_line_is_one_json_object_with_time_level_and_event_first(written):
    get_log().info("refresh.rotated", user_id="u-1", generation=3)
    assert list(written.line) == ["ts", "level", "event", "user_id", "generation"]
    assert datetime.fromisoformat(written.line["ts"]).utcoffset() == timedelta(0)
    assert (written.line["level"], written.line["event"]) == ("info", "refresh.rotated")


def test_the_request_id_is_on_every_line_of_its_request(written):
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        get_log().info("refresh.rotated")
    assert written.line["request_id"] == "r-1"


def test_what_is_below_the_level_is_not_written(written):
    get_log().debug("refresh.joined")
    assert written.text == ""


def test_a_fact_that_is_none_is_left_out(written):
    get_log().info("x", reason=None)
    assert "reason" not in written.line


def test_facts_cannot_pass_for_the_lines_own_fields(written):
    get_log().info("x", ts="then", level="critical")
    assert (written.line["level"], written.line["ts"] == "then") == ("info", False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Trigger.AHEAD, "ahead"),
        (INSTANT, "2026-01-02T03:04:05+00:00"),
        (timedelta(minutes=1), 60.0),
        (0.12345678, 0.123457),
        (True, True),
        (2**70, "<large integer>"),
        (b"bytes", "<bytes>"),
        (UserKey("a", "u"), "<UserKey>"),
        ({"LIVE": 3}, {"LIVE": 3}),
        ((1, "a"), [1, "a"]),
        ([[[[["deep"]]]]], [[[["<list>"]]]]),
        ("a\nb\x1b[31m\u202e", "a\\nb\\x1b[31m\\u202e"),
        ("\udcff", "\\udcff"),
        ("ä" * 300, "ä" * 256 + "…"),
        ("x" * 5000, "<5000 characters>"),
        (float("nan"), None),
        (list(range(60)), list(range(50))),
        (ValueError("v"), "<ValueError>"),
    ],
)
def test_each_kind_of_fact_is_written_plainly(written, value, shown):
    get_log().info("x", fact=value)
    assert written.line["fact"] == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"got {TOKEN}!", "got [redacted]!"),
        (TOKEN[:30], "[redacted]"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: [redacted]"),
        ("bEARER opaque-token-123", "[redacted]"),
        ("key cal_live_0123456789abcdef0123 used", "key [redacted] used"),
        ("cal_0123456789abcdef0123456789abcdef", "[redacted]"),
        ("to postgresql://broker:pass@db:5432/x", "to postgresql://[redacted]@db:5432/x"),
        ("registered-secret-1 and more", "[redacted] and more"),
        ("bearer_missing", "bearer_missing"),
        ("cal_user_id 7", "cal_user_id 7"),
        ("https://api.cal.com/v2", "https://api.cal.com/v2"),
    ],
)
def test_what_looks_like_a_secret_is_redacted_wherever_it_stands(written, text, shown):
    keep_secret(["registered-secret-1"])
    get_log().info(text, fact=text, nested={"list": [text]})
    line = written.line
    assert (line["event"], line["fact"], line["nested"]["list"]) == (shown, shown, [shown])


@pytest.mark.parametrize(
    "name", ["access_token", "refresh_token", "secret", "authorization", "Cookie", "api_key"]
)
def test_what_is_named_as_a_secret_is_redacted(written, name):
    get_log().info("x", **{name: "opaque"}, nested={name: "opaque"})
    assert (written.line[name], written.line["nested"][name]) == ("[redacted]", "[redacted]")


def test_of_two_secrets_the_one_that_holds_the_other_is_taken_whole():
    redactor = Redactor()
    redactor.register(["secret-one", "secret-one-and-more", "short"])
    assert redactor.text("secret-one-and-more short") == "[redacted] short"


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=10,
)


@pytest.mark.parametrize("render", [as_json, as_text])
@given(event=st.text(st.characters(codec=None)), facts=st.dictionaries(st.text(), PLAIN))
def test_anything_at_all_becomes_one_line(render, event, facts):
    line = LineMaker(render, Redactor())(None, "info", {**facts, "event": event})
    assert line.splitlines() == [line]


@given(before=st.text(), after=st.text())
def test_a_secret_is_found_in_any_surroundings(before, after):
    redactor = Redactor()
    redactor.register(["registered-secret-1"])
    assert "registered-secret-1" not in redactor.text(f"{before}registered-secret-1{after}")


def test_people_get_one_readable_line():
    line = LineMaker(as_text, Redactor())(None, "info", {"event": "x.y", "a": 1, "b": "two words", "c": "\n"})
    assert line[12:].decode() == ' info    x.y a=1 b="two words" c=\\n'


def test_a_stream_that_is_gone_costs_the_line_and_nothing_else(written):
    written.stream.close()
    get_log().info("x")


def test_an_error_is_its_class_code_and_place_and_never_its_text(written):
    error = raised(StorageUnavailable("5ecret"), cause=asyncpg.UniqueViolationError("5ecret"))
    get_log().error("x", exc_info=error)
    line = written.line
    assert (line["error"], line["code"]) == ("StorageUnavailable", "storage_unavailable")
    assert line["cause"] == "asyncpg.UniqueViolationError"
    assert line["at"].startswith("tests/support/written_logs.py:")
    assert "5ecret" not in written.text


def test_an_error_being_handled_is_found_by_itself(written):
    try:
        raise ValueError("5ecret")
    except ValueError:
        get_log().exception("x")
    assert (written.line["error"], written.line["level"]) == ("ValueError", "error")
    assert written.line["trace"][0].endswith("test_an_error_being_handled_is_found_by_itself")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (asyncpg.DeadlockDetectedError("x"), "40P01"),
        (ConnectionRefusedError(111, "x"), "ECONNREFUSED"),
        (SystemExit("5ecret"), None),
        (ValueError("x"), None),
    ],
)
def test_an_errors_code_is_never_free_text(error, code):
    assert error_facts(error).get("code") == code


def test_an_error_within_our_own_code_is_placed_there():
    with pytest.raises(KeyError) as met:
        configure_logs("loud")
    assert str(error_facts(met.value)["at"]).startswith("service/logs/__init__.py:")
