"""The bodies of the internal listener, field by field."""

from datetime import UTC, datetime

import pytest

from service.api.body import as_model
from service.api.schemas import NewUser, PairToEnrol, ProfileToChange, RefreshAsked, UserToRecover
from service.broker.errors import Invalid
from service.broker.model import Profile

TOKEN = "t" * 40
USER = {"id": "u-1", "email": "ann@example.com", "name": "Ann"}
PAIR = {"calUserId": 7, "accessToken": TOKEN, "refreshToken": TOKEN}


def wrong_fields(model, value, suffix=0):
    try:
        as_model(value, model, {"email_suffix": suffix})
    except Invalid as error:
        return error.fields
    return {}


def user(**fields):
    return USER | fields


def test_a_user_needs_an_id_an_address_and_a_name():
    assert as_model(USER, NewUser, {}).profile() == Profile(email="ann@example.com", name="Ann")


def test_every_wrong_field_is_named_at_once():
    wrong = wrong_fields(NewUser, {"email": "x", "timeZone": "Mars/Phobos", "color": "red"})

    assert wrong == {
        "id": "is required",
        "name": "is required",
        "email": "must be a valid e-mail address",
        "timeZone": "must be an IANA time zone name such as Europe/Paris",
        "color": "is not a field of this request",
    }


def test_a_full_profile_arrives_under_the_brokers_names():
    fields = {
        "timeZone": "Europe/London", "timeFormat": 24, "weekStart": "Monday", "locale": "pt-BR",
        "avatarUrl": "https://img.example.com/a.png", "bio": "Hi\nthere", "metadata": {"plan": "pro"},
    }  # fmt: skip

    profile = as_model(user(**fields), NewUser, {}).profile()

    assert profile.avatar_url == "https://img.example.com/a.png"
    assert (profile.time_zone, profile.time_format, profile.week_start) == ("Europe/London", 24, "Monday")
    assert (profile.locale, profile.bio, profile.metadata) == (
        "pt-BR",
        "Hi\nthere",
        {"plan": "pro"},
    )


ACCEPTED = {
    "id": ["a", "z" * 128, "auth0|5f7c@x:y+z=~-._"],
    "email": ["A@B.COM", "a+b@x.org", "ü@ü.de"],
    "name": ["Zoë O'Neil", "<script>alert(1)</script>", "n" * 256, "zero\u200cwidth"],
    "timeZone": ["UTC", "Etc/GMT+12", "US/Pacific", "Asia/Calcutta"],
    "timeFormat": [12, 24],
    "weekStart": ["Sunday"],
    "locale": ["es-419", "en"],
    "bio": ["", "two\nlines"],
    "avatarUrl": ["https://cdn.example.com:8443/x?y=1#z"],
    "metadata": [{}, {"k" * 40: "v" * 500}, {str(number): True for number in range(50)}, {"a": 1.5}],
}

REFUSED = {
    "id": ["", "z" * 129, ".", "..", "a/b", "a b", "ü", "a\n", "a\x00", 7, None, "a%2Fb", "a;b", "\u0663"],
    "email": [
        "", "@", "a@b", "a@@b.org", "a b@c.org", '"a b"@x.org', "a@[127.0.0.1]", "a@localhost", "a@x.org\n",
        "a@x.org,b@y.org", "<a@x.org>", "Ann <a@x.org>", "a\x00@x.org", "a@x.org.", "l" * 65 + "@x.org",
        "a@" + ("d" * 63 + ".") * 4 + "de", "\u202ea@x.org", None, ["a@x.org"],
    ],
    "name": ["", "   ", "n" * 257, "a\nb", "a\x00", "a\x1b[31m", "a\u202eb", "a\u2028b", None, 5],
    "timeZone": [
        "", " Europe/London", "europe/london", "GMT+25", "+01:00", "America/Argentina", "../../etc/passwd",
        "/etc/passwd", "UTC\x00", "x" * 300, "localtime", "posixrules", "Factory", "right/UTC", "leapseconds",
        "zone.tab", None, 1,
    ],
    "timeFormat": ["12", 24.0, True, 13, -12, None],
    "weekStart": ["monday", "Mon", "Lundi", "0", 0, "", None],
    "locale": ["xx", "en_US", "zh-cn", "e" * 10000, None],
    "avatarUrl": [
        "javascript:alert(1)", "data:text/html,x", "http://x.example.com/a", "https://",
        "https://x example.com", "https://u:p@x.example.com/", "https://169.254.169.254/", "https://[::1]/",
        "https://localhost/", "https://x.example.com:99999/", "https://x.example.com/" + "a" * 2048,
        "https://x.example.com/\n", None,
    ],
    "bio": ["a\x00", "a\u202eb", "b" * 4097, 1, None],
    "metadata": [
        None, [], {"a": {}}, {"a": [1]}, {"a": None}, {"k" * 41: 1}, {"": 1}, {"a": "v" * 501}, {"a": 2**53},
        {str(number): 1 for number in range(51)}, {"__proto__": 1}, {"a": "\x00"},
    ],
}  # fmt: skip


def rows(table):
    return [(field, value) for field, values in table.items() for value in values]


LONG_TEXTS = [(field, value) for field, value in rows(REFUSED) if isinstance(value, str) and len(value) > 8]


@pytest.mark.parametrize(("field", "value"), rows(ACCEPTED))
def test_a_good_value_is_accepted(field, value):
    assert wrong_fields(NewUser, user(**{field: value})) == {}


@pytest.mark.parametrize(("field", "value"), rows(REFUSED))
def test_a_bad_value_is_refused_by_its_fields_name(field, value):
    assert list(wrong_fields(NewUser, user(**{field: value}))) == [field]


@pytest.mark.parametrize(("field", "value"), LONG_TEXTS)
def test_a_refusal_never_repeats_the_value(field, value):
    assert value not in wrong_fields(NewUser, user(**{field: value}))[field]


def test_addresses_are_kept_in_lower_case():
    assert as_model(user(email="Ann@Example.COM"), NewUser, {}).email == "ann@example.com"


def test_two_spellings_of_one_address_become_one():
    composed, decomposed = "\u00e9@x.org", "e\u0301@x.org"

    assert (
        as_model(user(email=composed), NewUser, {}).email
        == as_model(user(email=decomposed), NewUser, {}).email
    )


@pytest.mark.parametrize(("length", "fits"), [(38, True), (39, False)])
def test_the_local_part_leaves_room_for_what_upstream_appends(length, fits):
    assert (wrong_fields(NewUser, user(email="l" * length + "@x.org"), suffix=26) == {}) is fits


def test_an_unknown_fields_name_is_cut_and_made_printable():
    (name,) = wrong_fields(NewUser, user(**{"\x1b[31m" + "k" * 500: 1}))

    assert len(name) == 64
    assert name.isprintable()


def test_a_pair_to_enrol_needs_no_profile():
    enrolment = as_model(PAIR, PairToEnrol, {}).enrolment()

    assert (enrolment.upstream_id, enrolment.access_token, enrolment.profile) == ("7", TOKEN, None)


def test_a_pair_to_enrol_carries_its_instants_and_profile():
    pair = PAIR | {"accessTokenExpiresAt": 1_700_000_000_500, "email": "Ann@x.org", "name": "Ann"}

    enrolment = as_model(pair, PairToEnrol, {}).enrolment()

    assert enrolment.access_token_expires_at == datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC)
    assert enrolment.profile == Profile(email="ann@x.org", name="Ann")


BAD_PAIRS = {
    "calUserId": [0, -1, 2**31, "7", 7.0, True, None],
    "accessToken": ["short", "a b" * 20, None],
    "refreshToken": ["t" * 4097, "ü" * 40],
    "accessTokenExpiresAt": [0, 10**15, "2026-01-01", None, 1.5],
    "recover": ["true", 0],
}


@pytest.mark.parametrize(("field", "value"), rows(BAD_PAIRS))
def test_a_bad_pair_is_refused(field, value):
    assert list(wrong_fields(PairToEnrol, PAIR | {field: value})) == [field]


def test_a_profile_without_an_address_is_refused():
    assert wrong_fields(PairToEnrol, PAIR | {"name": "Ann"}) == {
        "body": "has fields of a profile, so it needs an email as well"
    }


def test_a_recovery_names_the_user_upstream_and_its_address():
    recovery = as_model({"calUserId": 7, "email": "A@x.org", "recover": True}, UserToRecover, {})

    assert (recovery.cal_user_id, recovery.email) == (7, "a@x.org")


def test_a_change_holds_exactly_what_was_sent():
    assert as_model({"timeZone": "UTC", "bio": ""}, ProfileToChange, {}).change().fields == {
        "time_zone": "UTC",
        "bio": "",
    }


@pytest.mark.parametrize("body", [{}, {"bio": None}, {"id": "u-2"}])
def test_a_change_of_nothing_is_refused(body):
    assert wrong_fields(ProfileToChange, body) != {}


def test_a_refresh_is_asked_for_one_reason():
    assert as_model({}, RefreshAsked, {}).force is False
    assert as_model({"refused": TOKEN}, RefreshAsked, {}).refused == TOKEN
    assert wrong_fields(RefreshAsked, {"refused": TOKEN, "force": True}) != {}
    assert wrong_fields(RefreshAsked, {"force": 1}) == {"force": "must be true or false"}


def test_no_model_shows_a_token():
    assert TOKEN not in repr(as_model(PAIR, PairToEnrol, {}))
    assert TOKEN not in repr(as_model({"refused": TOKEN}, RefreshAsked, {}))
