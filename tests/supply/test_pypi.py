"""Asking the package index: its lists are of newest releases, and one without any is not believed."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from supply import advisories, pypi
from supply.audit import audit
from supply.pypi import CONTROL, LISTED, ask
from supply.renew import NotRenewed

NEWEST = {CONTROL: "2.6.1", "alpha": "1.5", "beta": "2.1"}
AFFECTS = {"id": "PYSEC-9", "aliases": ["CVE-9"], "fixed_in": ["1.6"], "details": "long", "withdrawn": None}


@asynccontextmanager
async def index(**vulns):
    """An index that lists these advisories, and what never goes for the control; yields its address."""
    listed = {CONTROL: [{"id": LISTED}], **vulns}

    async def project(request):
        name = request.match_info["name"]
        if listed.get(name) is None and name in listed:
            return web.Response(status=503)
        return web.json_response({"info": {"version": NEWEST[name]}, "vulnerabilities": listed.get(name, [])})

    app = web.Application()
    app.router.add_get("/pypi/{name}/json", project)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.fixture
def tree(tree):
    """One that was checked in part: alpha is locked in its newest release, beta is not."""
    for entry in tree.known.values():
        entry["sources"] = ["part"]
    tree.write()
    return tree


async def renewed(tree, **vulns):
    async with index(**vulns) as base:
        code = await asyncio.to_thread(pypi.main, tree.root, base)
    path = tree.root / "supply/advisories.json"
    return code, advisories.load(path), json.loads(path.read_text())


async def test_what_is_locked_in_its_newest_release_is_checked_whole_and_nothing_else(tree):
    code, known, _ = await renewed(tree)
    assert code == 0
    assert {name: entry.whole for name, entry in known.packages.items()} == {"alpha": True, "beta": False}


async def test_an_advisory_that_the_index_lists_fails_the_audit_of_the_locked_version(tree):
    _, known, _ = await renewed(tree, alpha=[AFFECTS])
    problems = audit(tree.root, known.taken).problems
    assert [problem for problem in problems if "PYSEC-9 (CVE-9): alpha 1.5" in problem]


async def test_one_of_a_newer_release_says_nothing_of_what_is_locked(tree):
    _, known, _ = await renewed(tree, beta=[AFFECTS])
    assert known.packages["beta"].vulns == []


async def test_asked_twice_it_keeps_an_advisory_once(tree):
    await renewed(tree, alpha=[AFFECTS])
    _, known, _ = await renewed(tree, alpha=[AFFECTS])
    assert [vuln["id"] for vuln in known.packages["alpha"].vulns] == ["PYSEC-9"]


@pytest.mark.parametrize(
    ("vulns", "why"),
    [({CONTROL: []}, "leaves advisories out"), ({"beta": None}, "the index answered 503")],
    ids=["a mirror without lists", "an answer missing"],
)
async def test_an_index_that_does_not_tell_all_renews_nothing(tree, vulns, why, capsys):
    before = (tree.root / "supply/advisories.json").read_bytes()
    code, _, _ = await renewed(tree, **vulns)
    assert code == 1
    assert why in capsys.readouterr().err
    assert (tree.root / "supply/advisories.json").read_bytes() == before


async def test_a_page_that_is_no_answer_is_none():
    async def page(_):
        return web.Response(text="<html>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/pypi/{name}/json", page)
    async with TestServer(app) as server:
        with pytest.raises(NotRenewed, match=CONTROL):
            await ask(["alpha"], str(server.make_url("/")))
