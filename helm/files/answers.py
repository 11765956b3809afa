"""Asks a running release what a stranger may and may not have of it. For `helm test`; standard library only.

Arguments: WHAT=URL, where WHAT is alive, ready, refresh or internal. Prints one line for each; exit 1 when one is wrong.
"""

import json
import sys
import time
import urllib.error
import urllib.request

PATIENCE_S = 60
TIMEOUT_S = 5


def ask(url):
    """Return status and JSON body; an answer that is no success is an answer all the same."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def wrong(what, url):
    """Return what is wrong with the answer, or nothing."""
    try:
        status, body = ask(url)
    except (OSError, ValueError) as error:
        return f"no answer that can be read: {error}"
    if what in ("alive", "ready"):
        return "" if status == 200 else f"{status} {body}, not 200"
    code = {"refresh": "bearer_missing", "internal": "key_unknown"}[what]
    if status != 401 or body.get("code") != code:
        return f"{status} {body.get('code')}, not 401 {code}: a stranger must be refused"
    if what == "refresh" and body.get("accessToken") != "":
        return 'no "accessToken": "" in the refusal: the browser library would hang on it'
    return ""


def main(questions):
    """Ask everything until it is right or patience ends; DNS and new pods may take a moment."""
    ends_at = time.monotonic() + PATIENCE_S
    found = {}
    for question in questions:
        what, _, url = question.partition("=")
        while (found := found | {question: wrong(what, url)})[question] and time.monotonic() < ends_at:
            time.sleep(1)
        print(f"{'WRONG' if found[question] else 'right'} {what} {url} {found[question]}".rstrip(), flush=True)
    return 1 if any(found.values()) or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
