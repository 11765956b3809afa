"""Asking OSV anew: all or nothing, and nothing that was known is forgotten.

The answer for cryptography is made of two records as PyPA publishes them, in the form in which OSV answers;
their long texts are left out.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from supply import advisories, renew
from supply.audit import audit
from supply.renew import NotRenewed, ask, renewed
from tests.supply.trees import TAKEN, vuln

RECORDED = json.loads((Path(__file__).parent / "osv-cryptography.json").read_text())


@asynccontextmanager
async def osv(answer):
    """A source that answers with what `answer` makes of a question; yields its address and the questions."""
    asked = []

    async def query(request):
        asked.append(await request.json())
        made = answer(asked[-1])
        return made if isinstance(made, web.Response) else web.json_response(made)

    app = web.Application()
    app.router.add_post("/v1/query", query)
    async with TestServer(app) as server:
        yield str(server.make_url("/")), asked


def recorded(question):
    return RECORDED if question["package"]["name"] == "cryptography" else {}


async def test_each_package_is_asked_for_by_its_name_alone():
    async with osv(recorded) as (base, asked):
        answers = await ask(["cryptography", "yarl"], base)
    assert {"package": {"name": "yarl", "ecosystem": "PyPI"}} in asked
    assert [one["id"] for one in answers["cryptography"]] == ["PYSEC-2026-3552", "PYSEC-2026-36"]
    assert answers["yarl"] == []


async def test_of_an_advisory_only_what_is_judged_by_is_kept():
    async with osv(recorded) as (base, _):
        kept = (await ask(["cryptography"], base))["cryptography"][1]
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "45.0.0"}, {"fixed": "46.0.7"}]}]
    assert kept.keys() == {"id", "aliases", "published", "modified", "affected"}
    assert kept["affected"] == [{"ranges": ranges}]


async def test_what_a_range_does_not_say_is_kept_as_it_is_listed():
    one = vuln({"introduced": "1"}, {"fixed": "2"})
    one["affected"][0] |= {"package": {"ecosystem": "PyPI", "name": "Some_Name"}, "versions": ["1.5", "0.3"]}
    elsewhere = {"package": {"ecosystem": "npm", "name": "some-name"}, "versions": ["9"]}
    one["affected"].append(elsewhere)
    async with osv(lambda _: {"vulns": [one]}) as (base, _):
        (kept,) = (await ask(["some-name"], base))["some-name"]
    assert [part["versions"] for part in kept["affected"]] == [["0.3"]]


async def test_every_page_of_an_answer_is_read():
    pages = {None: {"vulns": [vuln(id="A")], "next_page_token": "two"}, "two": {"vulns": [vuln(id="B")]}}
    async with osv(lambda question: pages[question.get("page_token")]) as (base, _):
        answers = await ask(["alpha"], base)
    assert [one["id"] for one in answers["alpha"]] == ["A", "B"]


async def test_an_answer_without_an_end_is_no_answer():
    async with osv(lambda _: {"next_page_token": "more"}) as (base, _):
        with pytest.raises(NotRenewed, match="after 20 pages"):
            await ask(["alpha"], base)


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=429),
        web.Response(status=302, headers={"Location": "/elsewhere"}),
        web.Response(text="<html>", content_type="text/html"),
        web.Response(text="{", content_type="application/json"),
        [],
        {"vulns": {}},
    ],
    ids=["429", "302", "html", "cut off", "a list", "no list"],
)
async def test_one_package_that_could_not_be_asked_for_renews_nothing(answer):
    async with osv(lambda question: answer if question["package"]["name"] == "beta" else {}) as (base, _):
        with pytest.raises(NotRenewed, match="beta"):
            await ask(["alpha", "beta"], base)


def test_an_answer_that_has_forgotten_an_advisory_is_not_believed(tree):
    tree.write()
    with pytest.raises(NotRenewed, match="alpha: the file has PYSEC-1, and the answer has not"):
        renewed({"alpha": [], "beta": []}, {"alpha": {"PYSEC-1"}}, tree.root)


def test_an_advisory_that_goes_by_another_name_now_is_not_forgotten(tree):
    tree.write()
    known = {"alpha": {"CVE-1"}}
    assert renewed({"alpha": [vuln({"introduced": "9"})], "beta": []}, known, tree.root)["packages"]


# The command


async def test_the_file_it_writes_passes_the_audit_whole(tree):
    tree.known["alpha"]["sources"] = ["part"]
    tree.write()
    async with osv(lambda _: {}) as (base, _):
        assert await asyncio.to_thread(renew.main, ["--source", base], tree.root) == 0
    taken = advisories.load(tree.root / "supply/advisories.json").taken
    assert audit(tree.root, taken, release=True).problems == []


async def test_the_file_stays_as_it_was_when_the_source_fails(tree, capsys):
    tree.write()
    before = (tree.root / "supply/advisories.json").read_bytes()
    async with osv(lambda _: web.Response(status=500)) as (base, _):
        assert await asyncio.to_thread(renew.main, ["--source", base], tree.root) == 1
    assert (tree.root / "supply/advisories.json").read_bytes() == before
    assert "stays as it was" in capsys.readouterr().err


def test_a_file_of_years_ago_is_renewed_for_what_is_locked_now(tree):
    tree.taken = str(TAKEN.replace(year=2020))
    tree.locked["gamma"] = "3"
    tree.write()
    told = renewed({"alpha": [], "beta": [], "gamma": []}, {}, tree.root)
    assert told["packages"]["gamma"] == {"locked": ["3"], "sources": ["osv"], "vulns": []}
