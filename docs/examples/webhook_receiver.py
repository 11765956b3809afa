"""An example of what receives the broker's webhook: verifies each message, and takes none of them twice.

Needs nothing but Python. Run it, then point TOKEN_BROKER_WEBHOOK_URL at http://127.0.0.1:8090/hooks:

    WEBHOOK_SECRETS=whsec_... python3 webhook_receiver.py --port 8090 --taken taken.sqlite

A message is written to standard output, one JSON object a line; put what your app does in `take`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

LARGEST = 64 * 1024
TOLERANCE_S = 300
"""A message that was signed longer ago, or ahead of our clock, is a copy of an old one, or a clock is off."""

TABLE = "CREATE TABLE IF NOT EXISTS taken (id TEXT PRIMARY KEY, at REAL NOT NULL)"
ONCE = "INSERT INTO taken (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING"


class NotGenuine(Exception):
    """The message is not from the broker, or not from now."""


def key_of(secret: str) -> bytes:
    """Return the bytes that a `whsec_...` secret stands for."""
    return base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)


def verify(keys: list[bytes], headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Return the message's id; raises NotGenuine. The body is what came, byte for byte, not parsed yet.

    While a secret is changed the broker signs with the old and the new one: any signature by any of our keys
    will do.
    """
    message_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not re.fullmatch("[0-9]{1,12}", sent_at):
        raise NotGenuine("webhook-id or webhook-timestamp is missing")
    if abs(now - int(sent_at)) > TOLERANCE_S:
        raise NotGenuine("it was not sent now")
    signed = b".".join((message_id.encode(), sent_at.encode(), body))
    ours = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    for signature in headers.get("webhook-signature", "").split(" "):
        version, _, value = signature.partition(",")
        if version == "v1" and any(hmac.compare_digest(value.encode(), one) for one in ours):
            return message_id
    raise NotGenuine("no signature is by a key of ours")


def take(message: dict[str, Any]) -> None:
    """Do what the app does with a message. If it raises, the broker sends the message again."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 once a message is taken, now or earlier; anything else makes the broker send it again."""

    keys: list[bytes]
    database: sqlite3.Connection
    timeout = 10

    def do_POST(self) -> None:
        """Take one message."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        try:
            message_id = verify(self.keys, self.headers, body, time.time())
        except NotGenuine as why:
            self.log_error("refused: %s", why)
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        # The id is kept with what the app does, or neither is: here both end with the transaction.
        with self.database:
            if self.database.execute(ONCE, (message_id, time.time())).rowcount:
                take(json.loads(body))
        self._answer(HTTPStatus.NO_CONTENT)

    def _answer(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def main() -> int:
    """Receive until Ctrl-C."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--taken", default=":memory:", help="SQLite file of the ids that were taken")
    arguments = parser.parse_args()
    secrets = os.environ.get("WEBHOOK_SECRETS", "")
    if not secrets:
        parser.error("set WEBHOOK_SECRETS to the broker's TOKEN_BROKER_WEBHOOK_SECRETS, or to one of them")
    Receiver.keys = [key_of(secret) for secret in secrets.split(",")]
    with closing(sqlite3.connect(arguments.taken)) as Receiver.database:
        Receiver.database.execute(TABLE)
        # One at a time: what the broker sends of one user it sends in order, and so it is taken.
        with HTTPServer(("127.0.0.1", arguments.port), Receiver) as server:
            sys.stderr.write(f"listening on http://127.0.0.1:{server.server_port}/hooks\n")
            sys.stderr.flush()
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
