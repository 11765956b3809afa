"""A test of a world that leaks on purpose; run by tests/secrecy/test_controls.py in a suite of its own."""

import os


async def test_noted(world):
    world.notes.note("request.done", reason=os.environ["PLANTED"])
