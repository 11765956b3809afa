"""Reads the settings from the environment and says everything that is wrong with them at once.

Must import nothing of this program but the settings' own words and the secrets.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from service.secrets import Secret
from service.settings import callers, keys, urls, webhooks
from service.settings.checks import find_misfits
from service.settings.clients import ClientDefaults, read_clients
from service.settings.errors import ConfigurationError, Problem, problems_of
from service.settings.fields import PREFIX, RUNNING, SECRETS, Role, env_name
from service.settings.model import Values
from service.settings.whole import ClientSettings, Settings

T = TypeVar("T")

_NO_KEYS: keys.KeyRing = ()
_NO_SECRETS: tuple[str, ...] = ()

_SECRET_NAMES = frozenset(env_name(field) for field in SECRETS)
_FILE_NAMES = frozenset(f"{name}_FILE" for name in _SECRET_NAMES)
_KNOWN = frozenset(env_name(field) for field in Values.model_fields) | _SECRET_NAMES | _FILE_NAMES

_OF_COMMANDS = frozenset(f"{PREFIX}{name}" for name in ("URL", "API_KEY", "API_KEY_FILE", "SOURCE_URL"))
"""What `users`, `export` and `import` read themselves."""

# Kubernetes sets these for every Service in the namespace, one named token-broker included.
_SERVICE_LINK = re.compile(rf"{PREFIX}(\w+_)?(SERVICE_(HOST|PORT)\w*|PORT(_[0-9]+_(TCP|UDP|SCTP)\w*)?)")


class _FromMapping(PydanticBaseSettingsSource):
    """Gives the fields the variables of one mapping, as they are written."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(Values)
        self._env = env

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 inherited signature
        return self._env.get(env_name(field_name)), field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = Values.model_fields
        return {name: self._env[env_name(name)] for name in fields if env_name(name) in self._env}


def load_settings(environ: Mapping[str, str] | None = None, *, role: Role = "serve") -> Settings:
    """Return the settings this role needs; ConfigurationError lists every wrong one, never a value.

    A variable that is set to nothing counts as not set.
    """
    given = os.environ if environ is None else environ
    loading = _Loading({name: value for name, value in given.items() if value}, role)
    settings = loading.settings()
    if loading.problems:
        raise ConfigurationError(loading.problems)
    return settings


def inspect_settings(environ: Mapping[str, str], *, role: Role) -> tuple[Settings, Sequence[Problem]]:
    """Return the settings as far as they can be used, and everything that is wrong with them.

    What is wrong stands at its default, or is empty: fit to be looked at, never to be run with.
    """
    loading = _Loading({name: value for name, value in environ.items() if value}, role)
    return loading.settings(), loading.problems


class _Loading:
    """One reading of the environment: what it found wrong so far, and the parts it found right."""

    def __init__(self, env: Mapping[str, str], role: Role) -> None:
        self.problems: list[Problem] = []
        self._env = env
        self._role = role
        self._values = self._read_values()

    def settings(self) -> Settings:
        """Put the settings together; they hold only if no problem was found."""
        database_url = self._secret("database_url", urls.one_place(urls.parse_database_url), "")
        redis_url = self._secret("redis_url", urls.one_place(urls.parse_redis_url), "")
        encryption_keys = self._secret("encryption_keys", keys.parse_key_ring, _NO_KEYS)
        fingerprint_keys = self._secret("fingerprint_keys", keys.parse_key_ring, _NO_KEYS)
        clients = self._clients() if self._role in RUNNING else ()
        self.problems += self._misled(clients)
        return Settings.model_construct(
            **dict(self._values),
            role=self._role,
            database_url=database_url,
            redis_url=redis_url,
            encryption_keys=encryption_keys,
            fingerprint_keys=fingerprint_keys,
            api_keys=self._api_keys(clients),
            webhook_secrets=self._webhook_secrets(),
            clients=clients,
            warnings=(*self._strangers(), *self._doubts(encryption_keys.value, fingerprint_keys.value)),
        )

    def _read_values(self) -> Values:
        """Read what is no secret; where a value is wrong, go on with the default to find the rest."""
        try:
            values, bad = _validated(self._env), frozenset[str]()
        except ValidationError as error:
            bad = frozenset(str(found["loc"][0]) for found in error.errors())
            self.problems += problems_of(error, Values, env_name)
            names = {env_name(field) for field in bad}
            values = _validated({name: value for name, value in self._env.items() if name not in names})
        self.problems += find_misfits(values, self._role, bad)
        return values

    def _api_keys(self, clients: Sequence[ClientSettings]) -> Secret[tuple[callers.ApiKey, ...]]:
        """Read the keys of callers; who lets callers in by other means may do without any."""
        name, values = env_name("api_keys"), self._values
        without = not {name, f"{name}_FILE"} & self._env.keys()
        if without and (values.service_accounts or values.caller_certificates):
            return Secret.unset(name, ())
        parse = partial(callers.parse_api_keys, clients=[client.name for client in clients])
        return self._secret("api_keys", parse, ())

    def _webhook_secrets(self) -> Secret[tuple[bytes, ...]]:
        """Read what signs messages, where messages are sent."""
        if self._values.webhook_url is None:
            return Secret.unset(env_name("webhook_secrets"), ())
        return self._secret("webhook_secrets", webhooks.parse_webhook_secrets, ())

    def _misled(self, clients: Sequence[ClientSettings]) -> list[Problem]:
        """Find callers that may act for a client which is not there."""
        names = [client.name for client in clients]
        return [
            Problem(env_name(field), f"lets {caller} act for a client that is not configured")
            for field in ("service_accounts", "caller_certificates")
            for caller in callers.strangers(getattr(self._values, field), names)
        ]

    def _secret(self, field: str, parse: Callable[[str], T], empty: T, *, lines: int = 1) -> Secret[T]:
        """Read one secret from its variable or its file, if this role needs it."""
        name = env_name(field)
        text, file = self._env.get(name), self._env.get(f"{name}_FILE")
        if self._role not in SECRETS[field].roles:
            return Secret.unset(name, empty)
        try:
            if text and file:
                raise ValueError(f"is set twice: keep it or {name}_FILE")
            if not text and not file:
                raise ValueError(f"is missing: set it, or {name}_FILE to a file that holds it")
            return Secret(name, Path(file) if file else text or "", parse, lines=lines)
        except ValueError as wrong:
            self.problems.append(Problem(name, str(wrong), SECRETS[field].example))
            return Secret.unset(name, empty)

    def _clients(self) -> tuple[ClientSettings, ...]:
        """Read the clients from their file, or the one of the environment."""
        values = self._values
        insecure = values.allow_insecure_upstream
        try:
            api_url = urls.parse_api_url(values.cal_api_url, insecure=insecure)
        except ValueError as wrong:
            self.problems.append(Problem("CAL_API_URL", str(wrong), "https://api.cal.com/v2"))
            api_url = ""
        defaults = ClientDefaults(api_url, values.upstream_rate, values.allowed_origins, insecure)
        if values.clients_file is None:
            return self._only_client(defaults)
        clients, problems = read_clients(values.clients_file, defaults)
        self.problems += problems
        return clients

    def _only_client(self, defaults: ClientDefaults) -> tuple[ClientSettings, ...]:
        """Read the client named `default`."""
        client_id = self._values.cal_oauth_client_id
        if "CAL_OAUTH_CLIENT_ID" not in self._env:
            what = f"is missing: set it, or {env_name('clients_file')} for several clients"
            self.problems.append(Problem("CAL_OAUTH_CLIENT_ID", what, "clxyz0123456789"))
        lines = keys.CLIENT_SECRET_LINES
        secret = self._secret("x_cal_secret_key", keys.parse_client_secrets, _NO_SECRETS, lines=lines)
        client = ClientSettings(
            name="default",
            kind="calcom-platform",
            id=client_id or "",
            secret=secret,
            api_url=defaults.api_url,
            rate=defaults.rate,
            origins=defaults.origins,
        )
        return (client,)

    def _strangers(self) -> list[str]:
        """Find variables that look like settings and are none, with what they may have meant."""
        known = _KNOWN | _OF_COMMANDS
        strangers = (name for name in sorted(self._env) if name.startswith(PREFIX) and name not in known)
        return [
            f"{name} is not a setting{_meant(name)}"
            for name in strangers
            if not _SERVICE_LINK.fullmatch(name)
        ]

    def _doubts(self, encryption: keys.KeyRing, fingerprint: keys.KeyRing) -> list[str]:
        """Find what can be used and is probably not meant."""
        doubts = []
        if {key for _, key in encryption} & {key for _, key in fingerprint}:
            doubts.append("TOKEN_BROKER_ENCRYPTION_KEYS and TOKEN_BROKER_FINGERPRINT_KEYS share a key")
        shadowed = self._values.clients_file and {"CAL_OAUTH_CLIENT_ID", "X_CAL_SECRET_KEY"} & set(self._env)
        doubts += [f"{name} is not used: the clients come from the file" for name in sorted(shadowed or ())]
        if not self._values.service_accounts:
            about = sorted(name for name in self._env if name.startswith(env_name("service_account_")))
            doubts += [f"{name} is not used without {env_name('service_accounts')}" for name in about]
        return doubts


def _meant(name: str) -> str:
    """Propose the setting whose name comes nearest; the prefix they share says nothing."""
    known = [other.removeprefix(PREFIX) for other in _KNOWN if other.startswith(PREFIX)]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=0.7)
    return f": did you mean {PREFIX}{near[0]}?" if near else ""


def _validated(env: Mapping[str, str]) -> Values:
    """Read the fields from these variables alone; ValidationError when one is wrong."""
    return Values(_build_sources=((_FromMapping(env),), {}))
