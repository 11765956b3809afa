"""Asks a running release what a stranger may and may not have of it. For `helm test`; standard library only.

Arguments: WHAT=URL, where WHAT is alive, ready, refresh, internal or certified (internal, for callers with a
certificate). Writes one line for each; exit code 1 when one is wrong.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 60
TIMEOUT_S = 5
FINE, REFUSED = 200, 401
# Whom a door refuses, and with which code; the others are asked whether they are well.
CODES = {"refresh": "bearer_missing", "internal": "key_unknown"}


def strangers_tls() -> ssl.SSLContext:
    """Return TLS that believes any certificate: a stranger sends nothing that is secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def uncertified(url: str) -> str:
    """Return what is wrong with a listener that speaks TLS, and not a word to who has no certificate."""
    at = urlsplit(url)
    with (
        socket.create_connection((at.hostname or "", at.port or 443), TIMEOUT_S) as plain,
        strangers_tls().wrap_socket(plain) as line,
    ):
        try:
            line.sendall(b"GET /v1/users HTTP/1.1\r\nHost: broker\r\n\r\n")
            answered = line.recv(1)
        except TimeoutError:
            return "neither an answer nor an end"
        except OSError:  # cut off, as it should be
            return ""
    return "a stranger without a certificate was answered" if answered else ""


def ask(url: str) -> tuple[int, dict[str, Any]]:
    """Return status and JSON body; an answer that is no success is an answer all the same."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=strangers_tls()) as answer:  # noqa: S310 the chart names the URLs
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def wrong(what: str, url: str) -> str:
    """Return what is wrong with the answer, or nothing."""
    try:
        if what == "certified":
            return uncertified(url)
        status, body = ask(url)
    except (OSError, ValueError) as error:
        return f"no answer that can be read: {error}"
    if what not in CODES:
        return "" if status == FINE else f"{status} {body}, not {FINE}"
    if (status, body.get("code")) != (REFUSED, CODES[what]):
        return f"{status} {body.get('code')}, not {REFUSED} {CODES[what]}: a stranger must be refused"
    if what == "refresh" and body.get("accessToken") != "":
        return 'no "accessToken": "" in the refusal: the browser library would hang on it'
    return ""


def answer_to(question: str, until: float) -> str:
    """Ask until it is right or time is up: names and new pods may take a moment."""
    what, _, url = question.partition("=")
    while (found := wrong(what, url)) and time.monotonic() < until:
        time.sleep(1)
    sys.stdout.write(f"{'WRONG' if found else 'right'} {what} {url} {found}".rstrip() + "\n")
    sys.stdout.flush()
    return found


def main(questions: Sequence[str]) -> int:
    """Ask everything; returns the exit code."""
    until = time.monotonic() + PATIENCE_S
    found = [answer_to(question, until) for question in questions]
    return 1 if any(found) or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
