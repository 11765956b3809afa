"""Which of a client's two secrets to present while it is changed: the one that upstream did not refuse last.

The settings name the new one first. Upstream changes over at an instant that nobody here knows, so a call
whose secret is refused is made again with the other one. Must import nothing of this program but the
broker's ports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.broker.ports import Observer


class ClientSecret:
    """The secrets of one client in the order to try them; `secrets` gives them as they are set now."""

    def __init__(self, secrets: Callable[[], Sequence[str]], observer: Observer, client_name: str) -> None:
        self._secrets = secrets
        self._observer = observer
        self._client_name = client_name
        self._refused: str | None = None

    def to_try(self) -> tuple[str, ...]:
        """Return the secrets in order; of two the first stands again at the end.

        Upstream may change over just between the refusal of the new one and that of the old one.
        """
        secrets = self._secrets()
        if self._refused is not None and self._refused not in secrets:
            self._refused = None
            self._observer.note("client_secret.changed", client=self._client_name, sends="new")
        ordered = sorted(secrets, key=lambda secret: secret == self._refused)
        return (*ordered, *ordered[: len(ordered) - 1])

    def refused(self, secret: str) -> None:
        """Note that upstream refuses this one: the other one, if there is one, comes first from now on."""
        secrets = self._secrets()
        if len(secrets) == 1 or secret not in secrets or secret == self._refused:
            return
        self._refused = secret
        sends = "old" if secret == secrets[0] else "new"
        self._observer.note("client_secret.refused", client=self._client_name, sends=sends)
