"""Looks for secrets in whatever a test run shows to others: a pytest plugin, on in every suite.

Watched are the output of every child process, stores before they are dropped or emptied, the bodies of every
answer and metrics page that a client here reads, and what was printed and logged. A test during which a
secret stood where none may fails, with the place and the kind of secret, never the secret.
"""

import os
import re
import subprocess
import time
import tomllib
from asyncio.subprocess import SubprocessStreamProtocol
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import redis

from sandbox.calcom import state
from sandbox.secrecy import ENDPOINTS, Needles, Watch, all_of_redis, tables_of
from tests.support.databases import run
from tests.support.environment import api_keys, environment, key_of

NOT_OURS = {"node", "npm", "chromium", "chrome", "curl", "helm", "promtool", "nginx", "systemd-analyze", "sh"}
"""Programs that show a token to whoever holds it anyway; what they read of the broker is another matter."""
NOT_THE_BROKER = ("/v2/", "/_sandbox/", "/demo/session/")
"""The stand-in, which mints tokens, and the demo's backend, which gives its page the first one."""
REWRITTEN = "/rewritten"
"""How the refresh endpoint's path ends where the page on running beside an app rewrites it."""
TOKENS_OF_TESTS = ("access-token.of-a-user", "refresh-token.of-a-user", "refresh-token." + "r" * 40)
_TAIL = 256
_MAY_STAND = "may_stand"


class Guard:
    """The watch over a whole run, and the test that is under way."""

    def __init__(self):
        self.watch = Watch(_needles(), (*ENDPOINTS, REWRITTEN))
        self.late = []
        """What was found when its test was over."""
        self.places = ()
        """Where a secret may stand in the test that is under way."""
        self.dumping_s = 0.0
        """What the looks into the stores have taken."""
        self._files = []
        self._tails = {}

    def child(self, process, words, environ, outputs):
        """Look out for the secrets a child is given, and remember the files it writes to."""
        self.know(environ)
        if Path(os.fsdecode(words[0])).name in NOT_OURS:
            return
        for output in outputs:
            with suppress(OSError, AttributeError, ValueError):
                number = output if isinstance(output, int) else output.fileno()
                path = Path(f"/proc/self/fd/{number}")
                if number >= 0 and path.resolve().is_file():
                    # Another description of the same file: it can be read when it is gone by name.
                    self._files.append((process, _name_of(words), os.open(path, os.O_RDONLY)))

    def said(self, name, content, stream=None):
        """Look at what a child wrote; of a stream, what came before is looked at together with it."""
        before = self._tails.get(stream, b"") if stream else b""
        whole = before + content
        self.watch.look(f"the output of {name}", whole)
        if stream:
            self._tails[stream] = whole[-_TAIL:]

    def know(self, environ):
        """Look for every secret that stands in an environment or in a file that it names."""
        for name, value in (environ or {}).items():
            with suppress(OSError, ValueError, tomllib.TOMLDecodeError):
                if name.endswith("_FILE") and name != "TOKEN_BROKER_CLIENTS_FILE":
                    self._know(name.removesuffix("_FILE"), Path(value).read_text().strip())
                else:
                    self._know(name, value)

    def _know(self, name, value):
        needles = self.watch.needles
        match name.removeprefix("TOKEN_BROKER_"):
            case "X_CAL_SECRET_KEY":
                needles.add("the client secret", value)
            case "DATABASE_URL" | "REDIS_URL":
                needles.add_url("a store's password", value)
            case "ENCRYPTION_KEYS" | "FINGERPRINT_KEYS" as ring:
                for key in value.split(","):
                    needles.add_key(f"a key of {ring}", key.partition(":")[2])
            case "API_KEYS":
                for key in api_keys:
                    needles.add("an API key", key)
            case "CLIENTS_FILE":
                for client in tomllib.loads(Path(value).read_text())["clients"]:
                    needles.add("a client's secret", client.get("secret", ""))

    async def database(self, url):
        """Look at every table of a database; of one that is not there now there is nothing to see."""
        with self._timed():
            try:
                connection = await asyncpg.connect(url)
            except (OSError, asyncpg.PostgresError):
                return
            try:
                await self.tables(connection)
            finally:
                await connection.close()

    async def tables(self, connection):
        """Do the same over a connection to it that is open."""
        async for table, rows in tables_of(connection):
            self.watch.look(f"PostgreSQL's table {table}", rows)

    def redis(self, url):
        """Look at every key and value."""
        with suppress(redis.ConnectionError), self._timed():
            for kind, content in all_of_redis(url):
                self.watch.look(f"Redis, {kind},", content)

    def servers(self, pair):
        """Look at everything that both stores hold."""
        run(self.database(pair.postgres.url))
        self.redis(pair.valkey.url)

    @contextmanager
    def _timed(self):
        began = time.monotonic()
        yield
        self.dumping_s += time.monotonic() - began

    def taken(self):
        """Return what was found since this was last asked."""
        files, self._files = self._files, []
        for process, name, file in files:
            # Asked before it is read: what a child writes that has not ended by now is read the next time.
            ended = getattr(process, "returncode", 0) is not None
            self.said(name, _rest_of(file), file)
            if ended:
                os.close(file)
                del self._tails[file]
            else:
                self._files.append((process, name, file))
        return [one for one in self.watch.taken() if not any(place in one.channel for place in self.places)]


def _rest_of(file):
    with os.fdopen(file, "rb", closefd=False) as output:
        return output.read()


def _needles():
    needles = Needles()
    for token in TOKENS_OF_TESTS:
        needles.add("a token of the tests", token)
    for key in ("e", "f", "k"):
        needles.add_key("a key of the tests", key_of(key))
    values = environment()
    for name in ("DATABASE_URL", "REDIS_URL"):
        needles.add_url("a store's password", values[f"TOKEN_BROKER_{name}"])
    return needles


def _name_of(words):
    """Say which program it is, and nothing of what it was told."""
    texts = [os.fsdecode(word) for word in words]
    told = texts[texts.index("-m") + 1 :][:2] if "-m" in texts else []
    return " ".join([Path(texts[0]).name, *(word for word in told if re.fullmatch(r"[a-z_.]{1,40}", word))])


GUARD = Guard()


def pytest_configure(config):
    config.addinivalue_line("markers", f"{_MAY_STAND}(place, why): a secret may stand there in this test")
    _watch_children()
    _watch_answers()
    _watch_mint()


@pytest.fixture(autouse=True)
def nothing_leaks(request):
    """Fail a test during which a secret stood where none may; ends after all that the test asked for."""
    GUARD.places = [mark.kwargs["place"] for mark in request.node.iter_markers(_MAY_STAND)]
    yield
    seen = GUARD.taken()
    if seen:
        pytest.fail("a secret stands where none may: " + "; ".join(map(str, seen)), pytrace=False)


def pytest_runtest_logreport(report):
    """Look at all that the test printed and logged, once it is over."""
    if report.when == "teardown":
        for place, text in report.sections:
            GUARD.watch.look(place, text)
        GUARD.late += [f"{report.nodeid}: {one}" for one in GUARD.taken()]


def pytest_sessionfinish(session):
    GUARD.late += [f"after the last test: {one}" for one in GUARD.taken()]
    if GUARD.late and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if GUARD.late:
        terminalreporter.section("secrets that stand where none may", red=True)
        for line in GUARD.late:
            terminalreporter.line(line)
    size, took = GUARD.watch.looked_at / 1e6, GUARD.dumping_s
    terminalreporter.line(f"looked for secrets in {size:.1f} MB; reading the stores for it took {took:.1f} s")


def _watch_children():
    """See every child start, and everything that one writes to a pipe of ours."""
    start, communicate = subprocess.Popen.__init__, subprocess.Popen.communicate
    received = SubprocessStreamProtocol.pipe_data_received

    def started(self, args, *more, **keywords):
        words = [args] if isinstance(args, str | bytes | os.PathLike) else list(args)
        GUARD.child(self, words, keywords.get("env"), (keywords.get("stdout"), keywords.get("stderr")))
        start(self, args, *more, **keywords)

    def communicated(self, *more, **keywords):
        outputs = communicate(self, *more, **keywords)
        words = [self.args] if isinstance(self.args, str | bytes | os.PathLike) else list(self.args)
        if Path(os.fsdecode(words[0])).name not in NOT_OURS:
            for output in outputs:
                if output:
                    GUARD.said(_name_of(words), output if isinstance(output, bytes) else output.encode())
        return outputs

    def heard(self, fd, data):
        process = self._transport.get_extra_info("subprocess")
        words = list(process.args) if process is not None else ["a child"]
        if Path(os.fsdecode(words[0])).name not in NOT_OURS:
            GUARD.said(_name_of(words), bytes(data), (id(self), fd))
        received(self, fd, data)

    subprocess.Popen.__init__, subprocess.Popen.communicate = started, communicated
    SubprocessStreamProtocol.pipe_data_received = heard


def _watch_answers():
    """See every body that a client in this process reads whole, metrics pages among them."""
    read = aiohttp.ClientResponse.read

    async def seen(self):
        body = await read(self)
        if not f"{self.url.path}/".startswith(NOT_THE_BROKER):
            GUARD.watch.answer(self.method, self.url.path, body)
        return body

    aiohttp.ClientResponse.read = seen


def _watch_mint():
    """Know every token that a stand-in in this process mints."""
    sign = state.sign

    def signed(claims, key):
        token = sign(claims, key)
        GUARD.watch.needles.add_token(token)
        return token

    state.sign = signed
