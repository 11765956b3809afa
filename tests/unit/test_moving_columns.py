"""Which column is which field, and what its values become: by usual spellings, by --map, never by guess."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from service.moving.columns import NoSuchColumn, fields_of, find_columns, parse_map

NOON_MS = 1_767_268_800_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MAPPED = {"id": "i", "accessToken": "a", "refreshToken": "r"}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["id", "accessToken", "refreshToken"], ["id", "accessToken", "refreshToken"]),
        (
            ["user_id", "cal_access_token", "cal_refresh_token"],
            ["user_id", "cal_access_token", "cal_refresh_token"],
        ),
        (["UserID", "ACCESS_TOKEN", "refresh-token", "x"], ["UserID", "ACCESS_TOKEN", "refresh-token"]),
        (["user_id", "id", "accessToken", "refreshToken"], ["id", "accessToken", "refreshToken"]),
    ],
)
def test_usual_spellings_are_found(columns, found):
    assert find_columns(columns, {}) == dict(zip(MAPPED, found, strict=True))


def test_a_given_column_wins_and_is_no_other_fields_column():
    columns = ["id", "customer", "access_token", "refresh_token"]
    assert find_columns(columns, {"id": "customer"})["id"] == "customer"
    found = find_columns([*columns, "calUserId"], {"id": "calUserId"})
    assert "calUserId" not in found


def test_a_needed_field_without_a_column_says_what_to_do():
    with pytest.raises(
        NoSuchColumn, match="name it with --map refreshToken=COLUMN; there are id, access_token"
    ):
        find_columns(["id", "access_token"], {})


def test_a_given_column_that_is_not_there_is_told_of_a_header_and_left_out_of_an_object():
    with pytest.raises(NoSuchColumn, match="no column 'mail' for email"):
        find_columns([*MAPPED], {"email": "mail"})
    assert "email" not in find_columns([*MAPPED], {"email": "mail"}, header=False)


@pytest.mark.parametrize(
    "texts",
    [["id"], ["id="], ["nothing=x"], ["id=a", "id=b"]],
    ids=["no =", "no column", "no field", "twice"],
)
def test_a_map_that_is_none_is_refused(texts):
    with pytest.raises(ValueError, match=r"field|two columns"):
        parse_map(texts)


@pytest.mark.parametrize(
    ("field", "value", "becomes"),
    [
        ("id", 41, "41"),
        ("id", True, True),
        ("id", UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("calUserId", "7", 7),
        ("calUserId", Decimal(7), 7),
        ("calUserId", "7.5", "7.5"),
        ("calUserId", float("nan"), float("nan")),
        ("accessTokenExpiresAt", str(NOON_MS), NOON_MS),
        ("accessTokenExpiresAt", NOON_MS // 1000, NOON_MS),
        ("accessTokenExpiresAt", "2026-01-01T12:00:00Z", NOON_MS),
        ("accessTokenExpiresAt", "2026-01-01 13:00:00+01", NOON_MS),
        ("accessTokenExpiresAt", NOON, NOON_MS),
        ("accessTokenExpiresAt", NOON.replace(tzinfo=None), NOON_MS),
        ("accessTokenExpiresAt", "soon", "soon"),
        ("accessToken", "  token\n", "token"),
    ],
)
def test_a_value_is_turned_into_the_fields_form_or_left_to_be_refused(field, value, becomes):
    assert repr(fields_of({"c": value}, {field: "c"})) == repr({field: becomes})


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_empty_cell_is_no_field(empty):
    assert fields_of({"a": "x", "b": empty}, {"id": "a", "email": "b"}) == {"id": "x"}


def test_without_an_address_there_is_no_profile():
    columns = {"id": "id", "email": "email", "name": "name"}
    assert fields_of({"id": "x", "name": "Anna", "email": ""}, columns) == {"id": "x"}
    assert fields_of({"id": "x", "name": "Anna", "email": "a@b.c"}, columns)["name"] == "Anna"


def test_metadata_may_be_json_in_a_cell():
    assert fields_of({"m": '{"plan": "free"}', "e": "a@b.c"}, {"metadata": "m", "email": "e"})[
        "metadata"
    ] == {"plan": "free"}
