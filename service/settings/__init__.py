"""What the operator decides: every setting with its default, read and checked once at the start.

Decides nothing about tokens. Must import nothing of this program but the secrets.
"""

from service.settings.callers import ApiKey, Caller
from service.settings.errors import ConfigurationError, Problem
from service.settings.fields import Role
from service.settings.grammar import Address, Network, Rate
from service.settings.keys import KeyRing
from service.settings.load import inspect_settings, load_settings
from service.settings.whole import ClientSettings, Settings

__all__ = [
    "Address",
    "ApiKey",
    "Caller",
    "ClientSettings",
    "ConfigurationError",
    "KeyRing",
    "Network",
    "Problem",
    "Rate",
    "Role",
    "Settings",
    "inspect_settings",
    "load_settings",
]
