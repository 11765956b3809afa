"""Tokens of service accounts on the internal listener: what a good one may, and every wrong one alike."""

from tests.hostile.accounts import GOOD, draw
from tests.hostile.cases import Story, asks, calls
from tests.hostile.tables.paths import UNKNOWN, gets

_ANN = "/v1/users/ann"
_WRONG = [name for name in draw() if name not in GOOD]


def _bearer(name):
    return f"Authorization: Bearer {{{name}}}"


def _by(what, status, code, target, name="sa.reader", **more):
    return gets("H81", what, status, code, target, key=_bearer(name), **more)


async def _all_alike(town):
    """Whatever is wrong with a token, the answer is that to an unknown key, to the byte."""
    seen = {}
    for name in ("key", *_WRONG):
        bearer = "no-such-key-at-all" if name == "key" else town.names[name]
        answer = await town.ask("internal", f"Authorization: Bearer {bearer}", target=_ANN)
        same = tuple(pair for pair in answer.headers if pair[0] not in {"Date", "X-Request-Id"})
        seen.setdefault((answer.status, same, answer.body), []).append(name)
    return [] if len(seen) == 1 else [f"tells apart {sorted(seen.values())}"]


CASES = [
    _by("an account's token", 200, None, _ANN),
    _by("an account's token by another key of the cluster", 200, None, _ANN, "sa.ec"),
    *(_by(f"an account's token: {name}", 401, "key_unknown", _ANN, name) for name in _WRONG),
    Story("H81", "every wrong token is answered as an unknown key is", _all_alike),
    _by("a token by an account that may only read users", 403, "scope_missing", f"{_ANN}/token"),
    calls("H81", "a deletion by an account that may only read", 403, "scope_missing", method="DELETE",
          target=_ANN, key=_bearer("sa.reader")),
    _by("another client's user, for an account", 404, UNKNOWN, "/v1/users/olga?client=other"),
    _by("our user, for another client's account", 404, UNKNOWN, f"{_ANN}/token", "sa.other"),
    _by("an account's token in the query as well", 401, "key_unknown", f"{_ANN}?access_token={{sa.reader}}"),
    gets("H81", "an account's token in the query alone", 401, "key_unknown",
         f"{_ANN}?access_token={{sa.reader}}", key=""),
    gets("H81", "an account's token and a key", 401, "key_unknown", _ANN,
         key=f"{_bearer('sa.reader')}\r\n{_bearer('backend')}"),
    gets("H81", "an account's token by Basic", 401, "key_unknown", _ANN,
         key="Authorization: Basic {sa.reader}"),
    asks("H26", "an account's token as an access token", 401, "token_unknown", _bearer("sa.reader")),
    asks("H84", "an account's token for users on the public listener", 404, "not_found",
         _bearer("sa.reader"), target=_ANN),
    asks("H84", "an account's token for users on the observing listener", 404, "not_found",
         _bearer("sa.reader"), target=_ANN, door="observe"),
]  # fmt: skip
