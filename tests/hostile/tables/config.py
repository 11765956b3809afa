"""Settings that must be refused at start: each is named with what is wrong, none is repeated.

One start takes a wrong value of every setting at once: the program says everything that is wrong.
"""

import asyncio
import itertools
from functools import partial

from tests.chaos.folder import OUTPUT
from tests.hostile import setting
from tests.hostile.cases import CANARY, Story
from tests.hostile.town import refused_start

WRONG_EXIT = 2
_EVIL_URLS = (
    "http://api.cal.com/v2",
    "https://api.cal.com@evil.example/v2",
    f"https://user:{CANARY}@api.cal.com/v2",
    "file:///etc/passwd",
    "ftp://api.cal.com",
    "https://169.254.169.254/v2",
    "https://[fe80::1]/v2",
    "https://0.0.0.0/v2",
    "https://[::]/v2",
    "https://224.0.0.1/",
    "https://\u2460\u2461\u2466.0.0.1/v2",
    "https://api.cal.com/v2?a=b",
    "https://api.cal.com/v2#a",
    "https://api.cal.com/../v2",
    "https://api.cal.com/%2e%2e/v2",
    "https://api.cal.com:99999/v2",
    "https://api.cal.com:x/v2",
    "https://",
    "api.cal.com/v2",
    "https://api.cal.com/v2 ",
    "https://api.cal.com/\r\nX: y",
    "https://api.cal.com\\@evil.example",
    "https:///v2",
    "//api.cal.com",
    "https://2130706433/v2",
    "https://0x7f000001/v2",
    "https://127.1/v2",
    "https://[::ffff:169.254.169.254]/v2",
    "javascript:alert(1)",
    "http://localhost.evil.example/v2",
)
_IDS = (
    "..",
    "../../admin",
    "a/b",
    "a?x",
    "a#f",
    "a\\r\\nX: y",
    "a b",
    "",
    "a" * 65,
    "\u017c",
    "a%2fb",
    "a.b",
    "a:b",
    CANARY + "!",
    "*",
    "\\u0000",
)
_SECRETS = (
    f"{CANARY}\\r\\nX: y",
    f"{CANARY}\\n",
    f"{CANARY} {CANARY}",
    "",
    f"{CANARY}\\u0000",
    f"\u017c{CANARY}",
    "\\u007f",
)
SETTINGS = {
    "CAL_API_URL": _EVIL_URLS[:6],
    "PUBLIC_PATH": ("refresh", "/refresh/", "/../x", "/a//b", "/a?b", "/a%2fb", "/a b", "/"),
    "PUBLIC_ADDRESS": (
        "8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:99999",
        ":8080",
        "::1:8080",
        "127.0.0.1:8080:1",
        "a b:1",
    ),
    "TRUSTED_PROXIES": ("everyone", "10.0.0.0/33", "10.0.0.1/8", "*", "10.0.0.0/8,,", "300.1.1.1"),
    "ALLOWED_ORIGINS": (
        "*",
        "null",
        "https://*.example.com",
        "https://a.example/",
        "https://a.example/path",
        "a.example",
        "https://u:p@a.example",
        "https://a.example,",
    ),
    "SUPERSEDED_WINDOW": ("8d", "-1h", "1w", "forever", "1e3", "1h30m"),
    "BINDING_IDLE": ("0", "-1", "400d"),
    "UPSTREAM_RATE": ("0/min", "450", "-1/min", "450/day", "450/min;", "1e3/min"),
    "USER_ROTATIONS": ("-1/min", "many", "6", "6/"),
    "ADDRESS_FAILURES": ("-1/min", "some", "20/0"),
    "UPSTREAM_TIMEOUT": ("0", "never", "-1s"),
    "WORKERS": ("0", "-1", "129", "1.5", "two", "\u0662"),
    "LOG_LEVEL": ("loud", "DEBUG;"),
    "ENCRYPTION_KEYS": (
        CANARY,
        f"e1:{CANARY}",
        "e1:AAAA",
        "",
        f"e 1:{'A' * 43}=",
        f"e1:{'A' * 43}=,e1:{'B' * 42}A=",
    ),
    "FINGERPRINT_KEYS": (CANARY, "f1:", f"f1:{'A' * 43}=,f2:{'A' * 43}="),
    "API_KEYS": (
        CANARY,
        f"backend:{CANARY}",
        f"backend:{'a' * 63}",
        f"backend:{'a' * 64}:everything",
        f"b b:{'a' * 64}",
        f"backend:{'a' * 64}::nobody",
    ),
    "SERVICE_ACCOUNTS": (
        CANARY,
        f"{CANARY}/",
        "shop/*",
        "system:serviceaccount:shop:reader",
        "shop/reader:everything",
        "shop/reader,shop/reader:admin",
        "shop/reader::nobody",
    ),
    "SERVICE_ACCOUNT_ISSUER": (f"{CANARY} {CANARY}", f"{CANARY}\n", "x" * 1025),
    "SERVICE_ACCOUNT_JWKS": (
        f"http://keys.example/{CANARY}",
        f"https://u:{CANARY}@keys.example",
        f"/{CANARY}",
        "file:///etc/passwd",
        "https://169.254.169.254/keys",
    ),
    "INTERNAL_TLS_CERTIFICATE_FILE": (f"/{CANARY}",),
    "CALLER_CERTIFICATES": (f"{CANARY} x", "*.example.com", "spiffe://x/y:everything", "CN=reader"),
    "DATABASE_URL": (f"mysql://u:{CANARY}@h/d", CANARY, f"postgresql://u:{CANARY}@/d", "postgresql://h,,g/d"),
    "REDIS_URL": (f"http://:{CANARY}@h", CANARY, f"redis://:{CANARY}@", "redis://a,b/0", "unix://"),
}


def _named(name):
    return name if name.startswith("CAL_") else f"TOKEN_BROKER_{name}"


def _environment(town, **changes):
    environ = setting.environment(town.drawn, "main", town.folder / "clients.toml")
    return {**environ, **{_named(name): value for name, value in changes.items()}}


def _complaints(name, code, said):
    """Yield what is wrong with how a start was refused because of this setting."""
    lines = [line for line in said.splitlines() if line.strip().startswith(f"{name}:") or f" {name}:" in line]
    if code != WRONG_EXIT:
        yield f"ended with {code}"
    if len(lines) != 1:
        yield f"{len(lines)} lines name it: {said[:300]}"
    if CANARY in said:
        yield "repeats the value"
    if "Traceback" in said:
        yield "writes a trace"


class Start:
    """One refused start that several cases look at."""

    def __init__(self, make_environment):
        self._make_environment = make_environment
        self._task = None

    async def __call__(self, town):
        """Return how it ended and what it said; it happens once."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._refused(town))
        return await self._task

    async def _refused(self, town):
        async with town.starts:
            code, said = await refused_start(self._make_environment(town))
        # Not a log, whose every line would have to be an event; secrets are looked for in it all the same.
        with (town.folder / OUTPUT / "refused.txt").open("a") as output:
            output.write(said)
        return code, said


def _looked_at(row, what, start, name):
    async def play(town):
        return list(_complaints(name, *await start(town)))

    return Story(row, what, play, patient=True)


def _settings():
    """One start for the first value of every setting, one for the second, and so on."""
    for values in itertools.zip_longest(*SETTINGS.values()):
        wrong = {name: value for name, value in zip(SETTINGS, values, strict=True) if value is not None}
        start = Start(partial(_environment, **wrong))
        for name, value in wrong.items():
            yield _looked_at(
                "H65" if name == "CAL_API_URL" else "settings", f"{name} {value[:30]!r}", start, _named(name)
            )


def _table(**fields):
    """Return the table of one OAuth client as TOML has it."""
    good = {"name": "x", "id": "x", "secret": "x", **fields}
    return "[[clients]]\n" + "".join(f'{name} = "{value}"\n' for name, value in good.items())


def _with_clients(content, town):
    path = town.folder / f"wrong-{abs(hash(content))}.toml"
    path.write_text(content)
    return _environment(town, CLIENTS_FILE=str(path))


def _clients():
    """One file with a wrong client a value."""
    wrong = [("H65", "api_url", url.replace("\\", "\\\\").replace("\r\n", "\\r\\n")) for url in _EVIL_URLS]
    wrong += [("H63" if number > 1 else "H62", "id", value) for number, value in enumerate(_IDS)]
    wrong += [("H64", "secret", value) for value in _SECRETS]
    wrong += [("H63", "name", value) for value in ("", "A", "a b", "../a", "a" * 33, "-a")]
    content = "".join(
        _table(**{"name": f"c{number}", "id": f"c{number}", field: value})
        for number, (_, field, value) in enumerate(wrong)
    )
    start = Start(partial(_with_clients, content))
    for number, (row, field, value) in enumerate(wrong, start=1):
        yield _looked_at(
            row,
            f"a client's {field} {value[:30]!r}",
            start,
            f"TOKEN_BROKER_CLIENTS_FILE, client {number}, {field}",
        )


_FILES = {
    "no TOML": f"{CANARY} = [",
    "nothing": "",
    "another table": "[[customers]]",
    "a number": "clients = 1",
    "one table": "[clients]\nname = 'a'",
    "two of one name": _table(name="a", id="a") + _table(name="a", id="b"),
    "two of one id": _table(name="a") + _table(name="b"),
}


def _files():
    for what, content in _FILES.items():
        yield _looked_at(
            "settings",
            f"a clients' file: {what}",
            Start(partial(_with_clients, content)),
            "TOKEN_BROKER_CLIENTS_FILE",
        )


CASES = [*_settings(), *_clients(), *_files()]
