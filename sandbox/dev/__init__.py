"""`token-broker dev`: everything on embedded servers, supervised by one process.

Starts PostgreSQL, Valkey, the sandbox Cal.com, service, worker and the demo page, and leaves nothing behind.
Production code imports it only when the command is called.
"""

from __future__ import annotations

from sandbox.dev.cli import add_arguments, main

__all__ = ["add_arguments", "main"]
