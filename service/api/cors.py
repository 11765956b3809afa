"""Which pages may ask (CORS): exact origins, and headers on every answer to an allowed one.

The browser library hangs on an answer it may not read, so errors and unknown paths carry the headers
too. No protection against anything but other sites' scripts: the token is what identifies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.api.answer import Answer, header_block
from service.api.errors import OriginRefused
from service.api.peers import Peers
from service.api.routes import Call

PREFLIGHT = header_block(
    [
        ("Access-Control-Allow-Methods", "GET"),
        ("Access-Control-Allow-Headers", "authorization, content-type"),
        ("Access-Control-Max-Age", "600"),
    ]
)
PREFLIGHT_SHARING = header_block(
    [
        ("Vary", "Origin, Authorization, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ("Cross-Origin-Resource-Policy", "same-site"),
    ]
)
FETCH_MODES = frozenset({None, "cors", "same-origin"})
FETCH_DESTINATIONS = frozenset({None, "empty"})


class Origins:
    """The origins that may ask: those allowed for every client, and each client's own."""

    def __init__(
        self, everywhere: Iterable[str], by_client: Mapping[str, Iterable[str]], peers: Peers
    ) -> None:
        self._everywhere = frozenset(everywhere)
        self._by_client = {client: frozenset(origins) for client, origins in by_client.items()}
        self._peers = peers
        self._blocks = {
            origin: _block(origin) for origin in self._everywhere.union(*self._by_client.values())
        }

    def admit(self, call: Call) -> None:
        """Note the origin and its headers in the call; OriginRefused when no client allows it."""
        origins = call.request.headers.getall("Origin", ())
        if not origins:
            return
        block = self._blocks.get(origins[0]) if len(origins) == 1 else None
        if block is not None:
            call.origin, call.sharing = origins[0], block
        elif len(origins) != 1 or origins[0] != self._peers.own_origin(call.request):
            raise OriginRefused

    def admit_to(self, client: str, call: Call) -> None:
        """Refuse an origin that is another client's, now that the user's client is known."""
        if not self.allows(call.origin, client):
            call.sharing = b""
            raise OriginRefused

    def allows(self, origin: str | None, client: str) -> bool:
        """Whether a page of this origin, which was admitted, may ask for this client's users."""
        return origin is None or origin in self._everywhere or origin in self._by_client.get(client, ())


def require_fetch(call: Call) -> None:
    """Refuse what browsers load by themselves: pages, images, scripts. Only code may ask."""
    headers = call.request.headers
    fetched = (
        headers.get("Sec-Fetch-Mode") in FETCH_MODES and headers.get("Sec-Fetch-Dest") in FETCH_DESTINATIONS
    )
    if not fetched:
        call.sharing = b""
        raise OriginRefused("The address is for code that fetches it, not to be opened or embedded.")


async def preflight(call: Call) -> Answer:
    """Answer a browser that asks whether it may ask."""
    headers = PREFLIGHT if call.origin is not None else b"Allow: GET, OPTIONS\r\n"
    return Answer(204, headers=headers, sharing=PREFLIGHT_SHARING)


def _block(origin: str) -> bytes:
    return header_block(
        [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", "Retry-After, X-Request-Id"),
        ]
    )
