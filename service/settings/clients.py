"""Reads the OAuth clients: one from the environment, or several from a TOML file.

    [[clients]]
    name = "acme"
    id = "clxyz0123456789"
    secret_file = "/run/secrets/acme"

Must import nothing of this program but the settings' own words and the secrets.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from service.secrets import Secret
from service.settings import urls
from service.settings.errors import Problem, problems_of
from service.settings.fields import ClientId, env_name
from service.settings.grammar import Rate, parse_rate
from service.settings.keys import CLIENT_SECRET_LINES, parse_client_secret, parse_client_secrets
from service.settings.whole import ClientSettings

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
_FILE = env_name("clients_file")
_EXAMPLE = '[[clients]] name = "acme", id = "clxyz0123456789", secret_file = "/run/secrets/acme"'


@dataclass(frozen=True, slots=True)
class ClientDefaults:
    """What a client of the file has where it says nothing."""

    api_url: str
    rate: Rate
    origins: tuple[str, ...]
    insecure: bool


def _rate(value: object) -> Rate:
    if not isinstance(value, str):
        raise ValueError("must be text, in quotes")  # noqa: TRY004 a validator says no with ValueError
    return parse_rate(value)


class Entry(BaseModel):
    """One table of the file as it is written."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(
        pattern=NAME_PATTERN,
        examples=["acme"],
        description="What you call it: in `?client=`, in API keys, in metrics and logs.",
    )
    kind: Literal["calcom-platform"] = Field(
        "calcom-platform", examples=["calcom-platform"], description="The kind of upstream."
    )
    id: ClientId = Field(examples=["clxyz0123456789"], description="The OAuth client's id upstream.")
    secret: Annotated[str, AfterValidator(parse_client_secret)] | None = Field(
        None, repr=False, description="Its secret; better in a file of its own."
    )
    secret_file: str | None = Field(
        None,
        examples=["/run/secrets/acme"],
        description="The file that holds the secret, and on a second line the one before it while it is "
        "changed; a relative path begins at this file's folder.",
    )
    api_url: str | None = Field(
        None, examples=["https://api.cal.com/v2"], description="Its upstream, where it is not `CAL_API_URL`."
    )
    rate: Annotated[Rate, BeforeValidator(_rate)] | None = Field(
        None, examples=["450/min"], description="Its budget of calls, where it is not `UPSTREAM_RATE`."
    )
    origins: list[Annotated[str, AfterValidator(urls.parse_origin)]] | None = Field(
        None,
        examples=['["https://app.example.com"]'],
        description="The browser origins that may refresh its users' tokens, where these are not "
        "`ALLOWED_ORIGINS`.",
    )


def read_clients(path: Path, defaults: ClientDefaults) -> tuple[tuple[ClientSettings, ...], list[Problem]]:
    """Return the file's clients, and everything that is wrong with it."""
    try:
        tables = _tables(path)
    except ValueError as wrong:
        return (), [Problem(_FILE, str(wrong), _EXAMPLE)]
    clients: list[ClientSettings] = []
    problems: list[Problem] = []
    for place, table in enumerate(tables, start=1):
        found = _read_table(table, f"{_FILE}, client {place}", path.parent, defaults)
        if isinstance(found, ClientSettings):
            clients.append(found)
        else:
            problems += found
    return tuple(clients), problems + _twins(clients)


def _tables(path: Path) -> list[dict[str, Any]]:
    """Return the file's tables as TOML has them."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise ValueError(f"cannot be read ({wrong.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as wrong:
        raise ValueError(f"is not TOML: {wrong}") from None
    tables = document.get("clients")
    whole = isinstance(tables, list) and all(isinstance(table, dict) for table in tables)
    if not whole or not tables or len(document) > 1:
        raise ValueError("must hold one [[clients]] table for each client and nothing else")
    return list(tables)


def _read_table(
    table: dict[str, Any], where: str, folder: Path, defaults: ClientDefaults
) -> ClientSettings | list[Problem]:
    """Return the client a table describes, or what is wrong with it."""
    try:
        entry = Entry.model_validate(table)
    except ValidationError as error:
        return problems_of(error, Entry, lambda field: f"{where}, {field}")
    try:
        secret = _secret(entry, folder)
    except ValueError as wrong:
        return [Problem(f"{where}, secret_file" if entry.secret_file else f"{where}, secret", str(wrong))]
    try:
        url = entry.api_url and urls.parse_api_url(entry.api_url, insecure=defaults.insecure)
    except ValueError as wrong:
        return [Problem(f"{where}, api_url", str(wrong), "https://api.cal.com/v2")]
    origins = defaults.origins if entry.origins is None else tuple(dict.fromkeys(entry.origins))
    return ClientSettings(
        name=entry.name,
        kind=entry.kind,
        id=entry.id,
        secret=secret,
        api_url=url or defaults.api_url,
        rate=entry.rate or defaults.rate,
        origins=origins,
    )


def _secret(entry: Entry, folder: Path) -> Secret[tuple[str, ...]]:
    """Return the client's secret, or its two; a relative path begins where the file lies."""
    if (entry.secret is None) == (entry.secret_file is None):
        raise ValueError("must have exactly one of secret and secret_file")
    source = entry.secret if entry.secret is not None else folder / str(entry.secret_file)
    name = f"{_FILE}, client {entry.name}, secret_file"
    return Secret(name, source, parse_client_secrets, lines=CLIENT_SECRET_LINES)


def _twins(clients: list[ClientSettings]) -> list[Problem]:
    """Find clients that stand in the file twice, by name or by what upstream knows them as."""
    problems: list[Problem] = []
    names: set[str] = set()
    ids: set[tuple[str, str]] = set()
    for client in clients:
        if client.name in names:
            problems.append(Problem(_FILE, f"has two clients named {client.name}"))
        elif (client.api_url, client.id) in ids:
            problems.append(Problem(_FILE, f"has the id of client {client.name} twice for one api_url"))
        names.add(client.name)
        ids.add((client.api_url, client.id))
    return problems
