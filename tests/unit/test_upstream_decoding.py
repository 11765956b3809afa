"""What is read out of tokens, pairs and users, and what is left alone because it is absurd."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.upstream import decode
from service.broker.model import Stated

SIGNATURE = "c2lnbmF0dXJlLXNpZ25hdHVyZQ"
ISSUED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
IN_AN_HOUR = ISSUED + timedelta(hours=1)
IN_A_YEAR = ISSUED + timedelta(days=365)


def token(payload: object, raw: bytes | None = None) -> str:
    body = json.dumps(payload).encode() if raw is None else raw
    encoded = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{encoded}.{SIGNATURE}"


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def ms(moment: datetime) -> int:
    return seconds(moment) * 1000


def test_a_token_of_cal_com_is_read():
    said = decode.describe(
        token({"ownerId": 7, "userId": 7, "iat": seconds(ISSUED), "expiresAt": ms(IN_AN_HOUR)})
    )
    assert said == Stated(owner_id="7", issued_at=ISSUED, ends_at=IN_AN_HOUR)


def test_a_standard_expiry_in_seconds_counts_where_cal_coms_own_is_missing():
    assert decode.describe(token({"exp": seconds(IN_AN_HOUR)})).ends_at == IN_AN_HOUR


def test_cal_coms_own_expiry_comes_before_the_standard_one():
    both = token({"exp": seconds(IN_A_YEAR), "expiresAt": ms(IN_AN_HOUR)})
    assert decode.describe(both).ends_at == IN_AN_HOUR


def test_an_absurd_expiry_gives_way_to_the_standard_one():
    assert decode.describe(token({"exp": seconds(IN_AN_HOUR), "expiresAt": "soon"})).ends_at == IN_AN_HOUR


@pytest.mark.parametrize(
    ("claims", "owner"),
    [
        ({"ownerId": 7}, "7"),
        ({"ownerId": "7"}, "7"),
        ({"userId": 8}, "8"),
        ({"ownerId": 7, "userId": 8}, "7"),
        ({"ownerId": None, "userId": 8}, "8"),
        *[({"ownerId": absurd}, None) for absurd in
          (0, -7, 7.0, True, "", "07", " 7", "7\n", "\u0667", "x", [7], {"id": 7}, 10**19, "9" * 30)],
    ],
)  # fmt: skip
def test_the_owner_is_a_number_or_its_digits(claims, owner):
    assert decode.describe(token(claims)).owner_id == owner


@pytest.mark.parametrize("name", ["iat", "exp", "expiresAt"])
@pytest.mark.parametrize(
    "literal",
    ["null", "true", "false", "0", "-1", "-1e400", "1e400", "1.5", "1772366400.0", '"1772366400"', '""', "[]",
     "{}", "[1]", "9223372036854775807", "99999999999999999999999", "1" * 400, "1" * 5000, "NaN",
     "253402300800000000"],
    ids=lambda literal: literal[:24],
)  # fmt: skip
def test_an_absurd_instant_is_no_instant(name, literal):
    assert decode.describe(token(None, f'{{"{name}": {literal}}}'.encode())) == Stated()


@pytest.mark.parametrize("name", ["iat", "exp"])
def test_an_instant_after_the_year_9999_is_no_instant(name):
    assert decode.describe(token({name: 253_402_300_800})) == Stated()
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert last in vars_of(decode.describe(token({name: 253_402_300_799})))


def vars_of(said: Stated) -> set[object]:
    return {said.issued_at, said.ends_at}


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "a.b.c", "no-token-but-long-enough-to-be-one", "a" * 5000, f"x.{'A' * 40}.y",
        f"e30.e30.{SIGNATURE}", token(None, b""), token(None, b"\xff\xfe"), token([1, 2]), token("text"),
        token(7), token(None, b"{" * 500), token(None, b"[" * 2900), token({}) + ".more",
        token({}).replace(".", ""),
        f"eyJhbGciOiJIUzI1NiJ9.=====.{SIGNATURE}", f"eyJhbGciOiJIUzI1NiJ9.A.{SIGNATURE}",
        f"eyJhbGciOiJIUzI1NiJ9.\u017c\u00f3\u0142\u0107.{SIGNATURE}", "\udcff.\udcff.\udcff" * 5,
    ],
    ids=lambda text: ascii(text[:24]),
)  # fmt: skip
def test_what_is_no_readable_token_says_nothing(text):
    assert decode.describe(text) == Stated()


@settings(max_examples=300, deadline=None)
@given(st.text() | st.binary(max_size=60).map(lambda raw: token(None, raw)))
def test_no_text_makes_describe_raise(text):
    assert isinstance(decode.describe(text), Stated)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["iat", "exp", "expiresAt", "ownerId", "userId"]),
        st.integers() | st.floats() | st.text() | st.booleans() | st.none(),
    )
)
def test_no_claim_makes_describe_raise(claims):
    said = decode.describe(token(claims))
    assert said.owner_id is None or said.owner_id.isdigit()


# --- Pairs --------------------------------------------------------------------------------------------

ACCESS = token({"ownerId": 7, "iat": seconds(ISSUED), "expiresAt": ms(ISSUED + timedelta(minutes=5))})
REFRESH = token({"ownerId": 7, "iat": seconds(ISSUED), "expiresAt": ms(ISSUED + timedelta(days=9))})


def minted(**answer: object):
    return decode.pair({"accessToken": ACCESS, "refreshToken": REFRESH, **answer})


def test_the_answers_own_ends_win_over_the_claims():
    said = minted(accessTokenExpiresAt=ms(IN_AN_HOUR), refreshTokenExpiresAt=ms(IN_A_YEAR)).stated
    assert said == Stated("7", issued_at=ISSUED, ends_at=IN_AN_HOUR, refresh_token_ends_at=IN_A_YEAR)


def test_an_answer_without_ends_leaves_them_to_the_claims():
    said = minted().stated
    assert said.ends_at == ISSUED + timedelta(minutes=5)
    assert said.refresh_token_ends_at == ISSUED + timedelta(days=9)


@pytest.mark.parametrize("absurd", [None, True, 0, -5, 1.5, "1772366400000", [], {}, 10**18, 10**400])
def test_absurd_ends_in_an_answer_leave_them_to_the_claims(absurd):
    assert minted(accessTokenExpiresAt=absurd, refreshTokenExpiresAt=absurd) == minted()


def test_opaque_tokens_make_a_pair_that_says_nothing():
    pair = decode.pair({"accessToken": "a" * 20, "refreshToken": "b" * 4096})
    assert (pair.access_token, pair.refresh_token) == ("a" * 20, "b" * 4096)
    assert pair.stated == Stated()


def test_a_pair_does_not_show_in_its_repr():
    assert ACCESS not in repr(minted())
    assert REFRESH not in repr(minted())


# --- Users --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upstream", "app"),
    [
        ("ann+cl1@example.com", "ann@example.com"),
        ("ann+tag+cl1@example.com", "ann+tag@example.com"),
        ("ann+CL1@example.com", "ann@example.com"),
        ("ann@example.com", "ann@example.com"),
        ("ann+cl10@example.com", "ann+cl10@example.com"),
        ("anncl1@example.com", "anncl1@example.com"),
        ('"a@b"+cl1@example.com', '"a@b"@example.com'),
        ("ann+cl1@cl1.example", "ann@cl1.example"),
    ],
)
def test_an_address_comes_back_in_the_apps_form(upstream, app):
    assert decode.app_email(upstream, "cl1") == app


@pytest.mark.parametrize(
    ("stated", "moment"),
    [
        ("2026-03-01T12:00:00.000Z", ISSUED),
        ("2026-03-01T12:00:00", ISSUED),
        ("2026-03-01T14:00:00+02:00", ISSUED),
        *[(absurd, None) for absurd in
          (None, 5, True, "", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", [], "2026-03\x00")],
    ],
)  # fmt: skip
def test_when_a_user_was_created_is_read_if_it_is_a_moment(stated, moment):
    user = decode.user({"id": 7, "email": "ann+cl1@example.com", "createdDate": stated}, "cl1")
    assert user.created_at == moment


@pytest.mark.parametrize(
    "data",
    [None, [], "x", {}, {"id": 7}, {"email": "a@b.c"}, {"id": 0, "email": "a@b.c"},
     {"id": True, "email": "a@b.c"}, {"id": "x", "email": "a@b.c"}, {"id": 7, "email": None},
     {"id": 7, "email": "nobody"}, {"id": 7, "email": [1]}],
)  # fmt: skip
def test_a_user_without_an_id_and_an_address_is_none(data):
    assert decode.user(data, "cl1") is None
