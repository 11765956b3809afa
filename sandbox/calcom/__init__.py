"""A stand-in for Cal.com's Platform API v2, as strict as the real one, with switchable faults.

`serve` runs one on a port; `Sandbox` is what tests hold. Never imports the broker.
"""

from sandbox.calcom.config import Limits, Permission, SandboxClient, SandboxConfig
from sandbox.calcom.faults import Fault, FaultKind
from sandbox.calcom.gates import Gate
from sandbox.calcom.journal import Entry, Journal
from sandbox.calcom.jwt import identifier
from sandbox.calcom.sandbox import Sandbox
from sandbox.calcom.serving import Running, app_of, serve

__all__ = [
    "Entry",
    "Fault",
    "FaultKind",
    "Gate",
    "Journal",
    "Limits",
    "Permission",
    "Running",
    "Sandbox",
    "SandboxClient",
    "SandboxConfig",
    "app_of",
    "identifier",
    "serve",
]
