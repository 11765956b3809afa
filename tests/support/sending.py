"""One worker's sending of notices, over a real database and real HTTP, with a clock that a test moves."""

import base64
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from service.adapters.postgres.notices import PostgresNotices
from service.adapters.webhook import Webhook, open_webhook_session
from service.broker.deliveries import Deliveries, DeliveryTerms
from service.settings.webhooks import TYPES, parse_webhook_secrets
from tests.support.receivers import SECRET

_WRITE = """
    INSERT INTO notices (type, client, user_id, mark, facts, at, since, next_at)
    VALUES ($1, 'first-client', $2, $3, $4, $5, $5, $5)
"""


class SteppedClock:
    """The database's clock, as far ahead of itself as a test has moved it."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += timedelta(seconds=seconds)


@dataclass
class Sending:
    """A worker that sends, and what is written for it."""

    deliveries: Deliveries
    notices: PostgresNotices
    clock: SteppedClock
    stores: object

    async def tell(self, *user_ids, of="grant.died"):
        """Write a notice of each of these users, and say in it the how many-th of the user's it is."""
        for user_id in user_ids:
            told = "SELECT count(*) FROM notices WHERE user_id = $1"
            facts = json.dumps({"number": await self.stores.raw.fetchval(told, user_id)})
            await self.stores.raw.execute(_WRITE, of, user_id, str(uuid4()), facts, self.clock())

    async def goes_on(self, seconds, step=1):
        """Let so much time pass, and have the worker look as often as it does."""
        for _ in range(int(seconds / step)):
            await self.deliveries.run()
            self.clock.advance(step)

    async def outcomes(self):
        """How each notice has ended so far, in the order in which they were written."""
        rows = await self.stores.raw.fetch("SELECT outcome FROM notices ORDER BY seq")
        return [row["outcome"] for row in rows]

    def heard(self, event):
        """What the observer was told of such an event."""
        return [facts for name, _, facts in self.stores.notes.heard if name == event]


@asynccontextmanager
async def sending(stores, url, *, secrets=SECRET, types=TYPES, timeout_s=5.0, give_up=timedelta(days=3)):
    """Send what waits in these stores to this URL."""
    clock = SteppedClock(await stores.grants.now())
    session = open_webhook_session()
    webhook = Webhook(session, url, lambda: parse_webhook_secrets(secrets), timeout_s)
    notices = PostgresNotices(stores.database)
    terms = DeliveryTerms(types, timedelta(seconds=25), give_up)
    deliveries = Deliveries(notices, webhook, terms, "this-worker", clock, lambda: 0.5, stores.notes)
    try:
        yield Sending(deliveries, notices, clock, stores)
    finally:
        await session.close()


def secret_of(letter):
    """A signing secret, recognisable by its letter."""
    return "whsec_" + base64.b64encode(letter.encode() * 32).decode()
