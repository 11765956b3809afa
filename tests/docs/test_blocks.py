"""What the pages show in other languages than the shell's can be read as what it claims to be."""

import json
import tomllib

import asyncpg
import pytest
import yaml

from service.settings.clients import ClientDefaults, read_clients
from service.settings.grammar import parse_rate
from tests.docs.blocks import blocks_of, files_of, pages
from tests.docs.fronts import PAGE as SIDECAR

READ_AS = {"json": json.loads, "toml": tomllib.loads, "yaml": lambda text: list(yaml.safe_load_all(text))}
RUN_BY_TESTS = {"sh", "nginx", "sql", "python"}
SHOWN = {"ts", "js", "jsx", "text", "ini", ""}
SHOWN_BLOCKS = [block for page in pages() for block in blocks_of(page)]


@pytest.mark.parametrize("block", [block for block in SHOWN_BLOCKS if block.language in READ_AS], ids=str)
def test_data_can_be_read(block):
    assert READ_AS[block.language](block.text)


@pytest.mark.parametrize("block", SHOWN_BLOCKS, ids=str)
def test_each_block_is_in_a_language_that_is_looked_after(block):
    assert block.language in RUN_BY_TESTS | SHOWN | set(READ_AS)


STATEMENTS = [block for block in SHOWN_BLOCKS if block.language == "sql" and block.mark is None]


@pytest.mark.parametrize("block", STATEMENTS, ids=str)
async def test_statements_are_understood_by_postgresql_on_this_releases_schema(block, database_url):
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(block.text)
    finally:
        await connection.close()


def test_every_script_of_the_sidecar_page_is_a_file_of_an_app_that_is_run():
    scripts = blocks_of(SIDECAR, "js", "jsx", "ts")
    assert {block.text for block in scripts} <= set(files_of(SIDECAR).values())


def test_the_clients_file_that_the_page_shows_is_one_that_is_taken(tmp_path):
    [shown] = blocks_of("docs/configuration.md", "toml")
    for name in ("acme", "globex"):
        (tmp_path / name).write_text("a-secret")
    file = tmp_path / "clients.toml"
    file.write_text(shown.text.replace("/run/secrets", str(tmp_path)))

    clients, problems = read_clients(
        file, ClientDefaults("https://api.cal.com/v2", parse_rate("450/min"), (), insecure=False)
    )

    assert problems == []
    assert [client.name for client in clients] == ["acme", "globex"]
