"""Callers of the internal listener: which key, what it may do, for which OAuth client."""

from tests.hostile.cases import CANARY, calls
from tests.hostile.tables.paths import UNKNOWN, gets

SCOPES = [
    gets("H81", "no key", 401, "key_unknown", "/v1/users/ann", key="", has=("WWW-Authenticate: Bearer",)),
    gets("H81", "an unknown key", 401, "key_unknown", "/v1/users/ann", key=f"Authorization: Bearer {CANARY}"),
    gets(
        "H81",
        "the hash of a key",
        401,
        "key_unknown",
        "/v1/users/ann",
        key="Authorization: Bearer " + "a" * 64,
    ),
    gets("H81", "a key in the query", 401, "key_unknown", "/v1/users/ann?access_token={backend}"),
    gets(
        "H81",
        "two keys",
        401,
        "key_unknown",
        "/v1/users/ann",
        key="Authorization: Bearer {backend}\r\nAuthorization: Bearer {reader}",
    ),
    gets(
        "H81",
        "a key with a character more",
        401,
        "key_unknown",
        "/v1/users/ann",
        key="Authorization: Bearer {backend}x",
    ),
    gets("H81", "a key by Basic", 401, "key_unknown", "/v1/users/ann", key="Authorization: Basic {backend}"),
    gets("H81", "another client's user by name", 422, "invalid", "/v1/users/olga?client=nobody"),
    gets("H81", "another client's user", 404, UNKNOWN, "/v1/users/olga?client=other"),
    gets("H81", "another client's user's token", 404, UNKNOWN, "/v1/users/olga/token?client=other"),
    gets(
        "H81",
        "our user, for another client's caller",
        404,
        UNKNOWN,
        "/v1/users/ann/token",
        key="Authorization: Bearer {stranger}",
    ),
    gets(
        "H81",
        "our client, for another client's caller",
        404,
        UNKNOWN,
        "/v1/users?client=acme",
        key="Authorization: Bearer {stranger}",
    ),
    gets(
        "H81",
        "no client where there are several",
        422,
        "invalid",
        "/v1/users/ann",
        key="Authorization: Bearer {admin}",
        fields=frozenset(["client"]),
    ),
    gets(
        "H81",
        "a token by who may only read users",
        403,
        "scope_missing",
        "/v1/users/ann/token",
        key="Authorization: Bearer {reader}",
    ),
    gets(
        "H81",
        "a user by who may only have tokens",
        403,
        "scope_missing",
        "/v1/users/ann",
        key="Authorization: Bearer {tokens}",
    ),
    *(
        calls(
            "H81",
            f"{method} {target} by who may only read",
            403,
            "scope_missing",
            body,
            method=method,
            target=target,
            key="Authorization: Bearer {reader}",
        )
        for method, target, body in (
            ("POST", "/v1/users", {}),
            ("DELETE", "/v1/users/ann", None),
            ("PATCH", "/v1/users/ann", {}),
            ("POST", "/v1/users/ann/revoke", None),
            ("POST", "/v1/users/ann/pause", None),
            ("POST", "/v1/users/ann/resume", None),
            ("POST", "/v1/users/ann/refresh", {}),
            ("PUT", "/v1/users/ann/tokens", {}),
        )
    ),
    calls(
        "H81",
        "a forced rotation by who may only have tokens",
        403,
        "scope_missing",
        {"force": True},
        target="/v1/users/ann/refresh",
        key="Authorization: Bearer {tokens}",
    ),
    calls(
        "H81",
        "a recovery by who is no administrator",
        403,
        "scope_missing",
        {"calUserId": 1, "email": "a@example.com", "recover": True},
        method="PUT",
        target="/v1/users/zoe/tokens",
    ),
]

CASES = SCOPES
