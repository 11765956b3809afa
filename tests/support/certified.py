"""An internal listener with certificates, for tests: its authority, its files, and who knocks.

async with village.house() as house:
    status, code = await call(house, village.caller("URI:spiffe://..."))
"""

import asyncio

import aiohttp
import pytest

from service.adapters.listener_tls import ListenerTls, TlsFiles
from service.settings import Caller
from tests.support.certificates import Authority, Mount
from tests.support.doors import Notes, open_house

BACKEND = "spiffe://cluster.local/ns/shop/sa/backend"
READS = frozenset({"users:read"})


class Village:
    """An authority, the listener's files, and the house behind them."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority()
        self.mount = Mount(folder / "mount")
        self.mount.folder.mkdir()
        self.notes = Notes()
        self.uncaught = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.uncaught.append(context))
        self.mount.put(self.served(), self.authority.certificate)
        self.tls = self.open()

    def served(self, name="broker.test"):
        return self.authority.issue(f"DNS:{name}", "IP:127.0.0.1")

    def open(self, ca="ca.crt"):
        files = TlsFiles(self.mount["tls.crt"], self.mount["tls.key"], ca and self.mount[ca])
        return ListenerTls(files, self.notes)

    def house(self, **settings):
        known = [Caller(BACKEND, READS), Caller("batch.shop.svc", READS)]
        return open_house(**{"certified": known, "internal_tls": self.tls.context, **settings})

    def caller(self, *names, **how):
        return self.authority.client(*names, folder=self.folder, **how)

    def heard(self, event):
        return self.notes.of(event)


async def call(house, context, key=None, path="/v1/users/u-1"):
    """Call on a connection of its own; gives status and code."""
    url = f"https://127.0.0.1:{house.port('internal')}{path}"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http, http.get(url, headers=headers) as answer:
        return answer.status, (await answer.json()).get("code")


WRONG = (aiohttp.ClientError, OSError)


async def is_refused(house, context):
    with pytest.raises(WRONG):
        await call(house, context)
