"""The operator page's files, as they are: a shell that holds no data. What it shows it asks for with a key.

The policy lets it load its own scripts and styles, and talk to this listener and nobody else.
"""

from __future__ import annotations

from importlib import resources

from service.api.answer import Answer, header_block
from service.api.routes import Call, Handler, Route

_POLICY = header_block(
    [
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'",
        ),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
)
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def page_routes() -> list[Route]:
    """Return a route for each file of the page; `/` is the page itself."""
    folder = resources.files("service.api") / "static" / "page"
    files = sorted(file.name for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES)
    return [
        Route(
            "GET", "/" if name == "index.html" else f"/page/{name}", _file(name, (folder / name).read_bytes())
        )
        for name in files
    ]


def _file(name: str, body: bytes) -> Handler:
    kind = f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8"

    async def answer(_: Call) -> Answer:
        return Answer(200, body, content_type=kind, headers=_POLICY)

    return answer
