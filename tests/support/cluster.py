"""A cluster's API server, for its public keys alone: TLS by an authority of its own, and Kubernetes' manners.

async with a_cluster(folder) as cluster:
    cluster.settings
"""

import json
import ssl
from contextlib import asynccontextmanager

from aiohttp import web

from tests.support.account_tokens import ISSUER
from tests.support.certificates import Authority
from tests.support.statements import key_set, public


class Cluster:
    """An API server: it speaks TLS by an authority of its own and answers like Kubernetes."""

    def __init__(self, folder):
        self.folder, self.authority = folder, Authority("cluster")
        self.ca, self.token = folder / "ca.crt", folder / "token"
        self.ca.write_bytes(self.authority.certificate)
        self.token.write_text("first-token\n")
        self.keys = ["rsa"]
        self.bearers = []
        self.status = 200
        self.url = ""

    async def jwks(self, request):
        self.bearers.append(request.headers.get("Authorization"))
        if "application/jwk-set+json" not in request.headers.get("Accept", ""):
            return web.Response(status=406)  # as Kubernetes does
        body = json.dumps(key_set(*(public(kid) for kid in self.keys)))
        return web.Response(text=body, status=self.status, content_type="application/jwk-set+json")

    def tls(self, authority=None):
        issued = (authority or self.authority).issue("DNS:localhost", "IP:127.0.0.1")
        path = self.folder / "server.pem"
        path.write_bytes(issued.certificate + issued.key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(path)
        return context

    async def open(self):
        app = web.Application()
        app.router.add_get("/openid/v1/jwks", self.jwks)
        self.runner = web.AppRunner(app, shutdown_timeout=1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.tls())
        await site.start()
        self.url = f"https://127.0.0.1:{self.runner.addresses[0][1]}/openid/v1/jwks"

    async def close(self):
        await self.runner.cleanup()

    @property
    def settings(self):
        """The settings with which a broker asks it."""
        return {
            "SERVICE_ACCOUNT_ISSUER": ISSUER,
            "SERVICE_ACCOUNT_JWKS": self.url,
            "SERVICE_ACCOUNT_JWKS_CA_FILE": str(self.ca),
            "SERVICE_ACCOUNT_JWKS_TOKEN_FILE": str(self.token),
        }


@asynccontextmanager
async def a_cluster(folder):
    """Run such a server on a free port."""
    cluster = Cluster(folder)
    await cluster.open()
    try:
        yield cluster
    finally:
        await cluster.close()
