"""The Compose file brought up without an engine: in its order, healthy by its checks, the demo at work."""

import subprocess
from contextlib import closing

import aiohttp
import asyncpg
import pytest
import redis

from sandbox.dev.ports import HOST, Ports
from sandbox.embedded import Postgres
from tests.conftest import QUICK
from tests.deploy.compose import demo, docker_compose
from tests.deploy.conftest import need
from tests.deploy.containers import open_folder
from tests.deploy.dockerfile import ROOT
from tests.deploy.rehearsal import Rehearsal


@pytest.fixture(scope="module")
def stack(built):
    """Everything of the demo's command line, running."""
    if docker_compose() is None:
        need("Docker Compose 2 is missing: `make chart` fetches it, or set COMPOSE to the program.")
    with open_folder("token-broker-compose-") as folder:
        subprocess.run(["sh", "deploy/secrets.sh", "--demo", folder / "secrets"], cwd=ROOT, check=True)
        config = demo(SECRETS=str(folder / "secrets"), DEMO_PORT=str(Ports.free().demo))
        postgres = Postgres(folder, options=QUICK["postgres_options"])
        postgres.start()
        rehearsal = Rehearsal(config, built, folder, postgres.port)
        try:
            rehearsal.prepare_database(postgres.url.rpartition("/")[0])
            rehearsal.start_all()
            yield rehearsal
        finally:
            rehearsal.stop_all()
            postgres.stop()


@pytest.fixture
async def http(stack):
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def page(stack):
    """Where the demo page is, for a browser on this machine."""
    published = stack.config["services"]["demo"]["ports"][0]["published"]
    return f"http://{HOST}:{published}"


async def answer_of(request):
    async with request as response:
        return response.status, await response.json(content_type=None)


async def test_the_migrations_ran_once_and_ended(stack):
    assert "applied 0001_grants" in stack.said("migrate")
    assert stack.running["migrate"].returncode == 0


async def test_service_and_worker_reach_both_stores_with_the_rights_they_have(stack, http):
    for name in ("service", "worker"):
        status, ready = await answer_of(http.get(f"{stack.url(name, 9090)}/readyz"))
        assert (status, ready["status"]) == (200, "ready"), ready


async def test_no_setting_is_a_stranger(stack):
    assert "settings.warning" not in stack.said("service") + stack.said("worker")


async def test_the_app_is_known_by_its_key(stack, http):
    headers = {"Authorization": f"Bearer {stack.secret('app_key')}"}
    status, users = await answer_of(http.get(f"{stack.url('service', 8081)}/v1/users", headers=headers))
    assert (status, type(users.get("users"))) == (200, list), users


async def test_the_demo_page_answers(http, page):
    async with http.get(f"{page}/") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "/demo/page.js" in await response.text()


async def test_a_token_is_had_used_replaced_and_its_holder_gets_the_new_one(http, page):
    _, first = await answer_of(http.post(f"{page}/demo/session"))
    held = {"Authorization": f"Bearer {first['accessToken']}"}
    assert await answer_of(http.get(f"{page}/demo/call", headers=held)) == (200, {"status": 200})
    assert (await answer_of(http.post(f"{page}/demo/rotate")))[0] == 200
    status, second = await answer_of(http.get(f"{page}/api/cal/refresh", headers=held))
    assert (status, second["accessToken"] not in ("", first["accessToken"])) == (200, True)


async def test_what_the_demo_cannot_hear_it_does_not_count(http, page):
    async with http.get(f"{page}/demo/events") as events:
        said = await events.content.readline()
        while not said.startswith(b"data:"):
            said = await events.content.readline()
    assert b'"ahead":"-"' in said


async def test_the_running_processes_can_change_no_table(stack):
    connection = await asyncpg.connect(stack.secret("database_url"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DROP TABLE events")
    await connection.close()


async def test_the_worker_makes_the_lineages_days_all_the_same(stack):
    connection = await asyncpg.connect(stack.secret("migrator_database_url"))
    assert (
        await connection.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'lineage'::regclass")
        > 1
    )
    await connection.close()


def test_valkey_lets_nobody_in_without_the_password(stack):
    with (
        closing(redis.Redis(HOST, stack.ports["valkey", 6379])) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_all_end_in_time_and_well_when_told_to(stack):
    codes = stack.stop_all()
    assert codes == {"valkey": 0, "worker": 0, "service": 0, "demo": 0}
