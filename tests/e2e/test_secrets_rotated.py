"""Keys and the client's secret are changed under load, as the pages say: nobody is turned away."""

import asyncio
import json
import sys
from contextlib import suppress

import asyncpg
import pytest

from tests.e2e.callers import create_user, meanwhile
from tests.e2e.rolling import CLIENT, LIFETIME_S, town
from tests.support.environment import environment, key_of
from tests.support.programs import ROOT
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

FIRST = {"ENCRYPTION_KEYS": f"e1:{key_of('e')}", "FINGERPRINT_KEYS": f"f1:{key_of('f')}"}
SECOND = {"ENCRYPTION_KEYS": f"e2:{key_of('g')}", "FINGERPRINT_KEYS": f"f2:{key_of('h')}"}
NEW_SECRET = "the-new-secret"
IDLE = 12
UNDER_WAY = 6
READ_WITHIN_S = 30
ENDS_WITHIN_S = 90
IN_USE = """
    SELECT key_id FROM grants UNION SELECT key_id FROM lineage WHERE counts_until > clock_timestamp()
"""


class Mounted:
    """The secrets of a town's processes in files, and what each process says of them."""

    def __init__(self, folder):
        self._folder = folder
        self._written = {}
        for name, value in {**FIRST, "X_CAL_SECRET_KEY": CLIENT.secret}.items():
            (folder / name).write_text(value)

    @property
    def settings(self):
        """The variables that name the files, in place of those that hold the values."""
        names = (*FIRST, "X_CAL_SECRET_KEY")
        return dict.fromkeys(names) | {f"{name}_FILE": str(self._folder / name) for name in names}

    async def change(self, town, name, value):
        """Replace a file as a mounted one is, and see every process take the new value up."""
        (self._folder / "next").write_text(value)
        (self._folder / "next").rename(self._folder / name)
        times = self._written[name] = self._written.get(name, 0) + 1
        full = name if name.startswith("X_") else f"TOKEN_BROKER_{name}"
        programs = [replica.program for replica in (*town.services, *town.workers)]

        def read():
            return all(len(program.of("secret.replaced", name=full)) >= times for program in programs)

        await eventually(read, within_s=READ_WITHIN_S)


async def rewrap(database_url, mounted, *options):
    """Run `token-broker rewrap`; gives its exit code and what it said as an object."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", "rewrap", "--json", *options, cwd=ROOT,
        env=environment(DATABASE_URL=database_url, **mounted.settings), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await program.communicate()
    return program.returncode, json.loads(said)


async def roll_ring(town, mounted, name):
    """Make the second key known everywhere, then have it write everywhere."""
    await mounted.change(town, name, f"{FIRST[name]},{SECOND[name]}")
    await mounted.change(town, name, f"{SECOND[name]},{FIRST[name]}")


async def until_no_fingerprint_counts_under_the_first(town, mounted):
    async def over():
        return "f1" not in (await rewrap(town.database_url, mounted, "--dry-run"))[1]["fingerprints"]

    await eventually(over, within_s=ENDS_WITHIN_S, every_s=1.0)


async def change_client_secret(town, mounted):
    """Have upstream change over while refresh tokens are being presented with the old secret."""
    await mounted.change(town, "X_CAL_SECRET_KEY", f"{NEW_SECRET}\n{CLIENT.secret}\n")
    await eventually(lambda: len(told(town, "client_secret.refused", sends="old")) > 1, within_s=30)
    with town.sandbox.gate("refresh", "before") as gate:
        with suppress(TimeoutError):
            await gate.arrived(UNDER_WAY, timeout_s=4)
        town.sandbox.rotate_secret(CLIENT.id, NEW_SECRET)
    await eventually(lambda: told(town, "client_secret.refused", sends="new"), within_s=30)
    await mounted.change(town, "X_CAL_SECRET_KEY", NEW_SECRET)


async def in_use(database_url):
    """Return the ids of the keys that something is sealed with, or noted under and still counts."""
    connection = await asyncpg.connect(database_url)
    try:
        return {row["key_id"] for row in await connection.fetch(IN_USE)}
    finally:
        await connection.close()


async def change_everything(town, mounted):
    """Change both rings and the client's secret, one after the other; gives what `rewrap` said."""
    for number in range(IDLE):
        await create_user(town.services[0].internal, f"idle{number}")
    for name in FIRST:
        await roll_ring(town, mounted, name)
    rewrapped = await rewrap(town.database_url, mounted)
    await mounted.change(town, "ENCRYPTION_KEYS", SECOND["ENCRYPTION_KEYS"])
    await change_client_secret(town, mounted)
    await until_no_fingerprint_counts_under_the_first(town, mounted)
    await mounted.change(town, "FINGERPRINT_KEYS", SECOND["FINGERPRINT_KEYS"])
    await asyncio.sleep(LIFETIME_S)  # a lifetime of load under the new ones alone
    return rewrapped


def told(town, event, **facts):
    """Return the lines of an event in all processes."""
    return [line for each in (*town.services, *town.workers) for line in each.program.of(event, **facts)]


async def test_keys_and_the_client_secret_are_changed_and_no_answer_fails(
    database_url, redis_url, tmp_path, capsys
):
    mounted = Mounted(tmp_path)
    async with town(database_url, redis_url, SUPERSEDED_WINDOW="5s", **mounted.settings) as busy:
        async with meanwhile(*busy.everybody()):
            code, rewrapped = await change_everything(busy, mounted)
        refused = [line["sends"] for line in told(busy, "client_secret.refused")]
        assert told(busy, "circuit.opened") == []
    rolled = await busy.rolled()
    with capsys.disabled():
        print(f"\nsecrets changed: {rolled.heard.answers} answers, {len(rolled.heard.failures)} failed, "  # noqa: T201
              f"{rolled.rotations} refreshes, {rolled.lost} pairs lost; {rewrapped}")  # fmt: skip
    assert rolled.heard.failures == []
    assert (rolled.lost, rolled.forced) == (0, 0)
    assert {"old", "new"} == set(refused)
    assert (code, rewrapped["left"], rewrapped["resealed"] > 0) == (0, {}, True)
    assert await in_use(database_url) == {"e2", "f2"}
