"""Asks through a front as a browser does, from an address of its own."""

import json

import aiohttp

FRONTS = ("nginx", "express", "next")
ALL = (*FRONTS, "rewrite")
FETCHED = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
UNKNOWN = "a-token-that-nobody-was-ever-given"


async def ask(url, token=None, *, address="127.0.0.1", **headers):
    """Ask as a browser does that has this address; returns the status, the headers and the body's text."""
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.TCPConnector(local_addr=(address, 0), force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as browser,
        browser.get(url, headers=FETCHED | bearer | headers) as answer,
    ):
        return answer.status, answer.headers, await answer.text()


async def code_of(url, token=None, **more):
    """Return the status and the error's code; its body must be one that the browser library survives."""
    status, headers, text = await ask(url, token, **more)
    body = json.loads(text)
    assert body["accessToken"] == ""
    assert headers["Cache-Control"] == "no-store"
    return status, body["code"]
