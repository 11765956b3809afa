"""The statement that docs/sidecar.md has Node sign is one that the broker takes."""

import asyncio
import json
import shutil
import time

from cryptography.hazmat.primitives import serialization

from service.adapters.assertions import Assertions
from service.adapters.key_set import read_keys
from service.broker.model import SignedIn
from tests.browser.building import missing_node
from tests.docs.blocks import files_of
from tests.docs.fronts import PAGE
from tests.support.needs import need
from tests.support.statements import ED, key_set, public

PEM = ED.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


class Keys:
    async def key(self, key_id):
        return read_keys(key_set(public("ed", kid="2026a"))).get(key_id)


async def test_the_shown_statement_counts(tmp_path):
    need(*missing_node())
    (tmp_path / "assertion.mjs").write_text(files_of(PAGE)["lib/assertion.js"])
    asked = f'assertionOf({{ id: "42" }}, {json.dumps(PEM)}, "2026a")'
    (tmp_path / "say.mjs").write_text(
        f'import {{ assertionOf }} from "./assertion.mjs";\nprocess.stdout.write({asked});'
    )

    node = await asyncio.create_subprocess_exec(
        shutil.which("node"), "say.mjs", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(node.communicate(), 60)

    assert await Assertions(Keys(), time.time).ask(said.decode()) == SignedIn("42")
