"""The contestants beside the broker: the framework's and the machine's limit, and what a team would run."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from bench import people
from bench.contestants import Contestant
from bench.figures import Missing
from bench.generator import write_requests
from bench.machine import NotFit
from bench.peers import FOLDER, NEXT, Ready, next_command
from bench.programs import NotUp, Program, free_port, python, running
from bench.settings import API_KEY, upstream
from bench.stand import Stand, get

_NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
    client_body_temp_path body; proxy_temp_path proxied; fastcgi_temp_path fast;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    open_file_cache max=10;
    server {{ listen 127.0.0.1:{port} reuseport; default_type application/json; root {root}; }}
}}
"""


def limits(stack: ExitStack, stand: Stand, broker: list[Contestant]) -> list[Contestant]:
    """Start the bare handler, with one process and with two; it answers with bodies of the broker's."""
    ports = {one.name: one.port for one in broker}
    one = stand.crowd.lookups[0]
    by_user, refresh = f"/v1/users/{one.id}/token", "/refresh"
    bodies = {
        refresh: get(ports["redis"], refresh, _bearer(one.superseded)),
        "/v1/users/{id}/token": get(ports["near"], by_user, _bearer(API_KEY)),
    }
    place = stand.place / "bodies.json"
    place.write_text(json.dumps(bodies))
    near = stand.crowd.lookups[: stand.sizes.near]
    asked = people.always(people.with_token(stand.crowd.lookups), bodies[refresh].encode())
    tokens = write_requests(stand.place / "bare.requests", asked)
    asked = people.always(people.by_user(near, API_KEY), bodies["/v1/users/{id}/token"].encode())
    users = write_requests(stand.place / "bare_user.requests", asked)
    single, double = _bare(stack, stand, place, 1), _bare(stack, stand, place, 2)
    return [
        Contestant("bare", "bare aiohttp JSON handler", single, tokens, single.port),
        Contestant("bare_user", "the same, asked by user", single, users, single.port),
        Contestant("bare_two", "the same, two processes", double, tokens, double.port),
    ]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _bare(stack: ExitStack, stand: Stand, bodies: Path, processes: int) -> Program:
    port = free_port()
    cores = {stand.cores.server, stand.cores.second} if processes > 1 else {stand.cores.server}
    command = python("bench.bare", port, bodies, processes)
    return stack.enter_context(
        running(f"bare {processes}", command, port=port, folder=stand.place, cores=cores)
    )


def peers(stack: ExitStack, stand: Stand, ready: Ready) -> dict[str, Contestant | Missing]:
    """Start every peer that can be had."""
    lookups = people.with_token(stand.crowd.lookups)
    tokens = write_requests(stand.place / "peers.requests", lookups)
    env = {"REDIS_URL": stand.redis_url, "DATABASE_URL": stand.peers_url, "NODE_ENV": "production"}
    return {
        "node_ioredis": _node(stack, stand, ready, "node-ioredis.js", "Node http + ioredis", tokens, env),
        "node_pg": _node(stack, stand, ready, "node-pg.js", "Node http + pg look-up", tokens, env),
        **_next(stack, stand, ready, env),
        "nginx": _nginx(stack, stand, ready),
    }


def _node(
    stack: ExitStack, stand: Stand, ready: Ready, script: str, title: str, tokens: Path, env: dict[str, str]
) -> Contestant | Missing:
    if isinstance(ready.node, Missing):
        return ready.node
    name, port = script.removesuffix(".js"), free_port()
    program = _peer(stack, stand, name, [ready.node, FOLDER / script], port, env | {"PORT": str(port)})
    if isinstance(program, Missing):
        return program
    return Contestant(name.replace("-", "_"), title, program, tokens, port)


def _next(
    stack: ExitStack, stand: Stand, ready: Ready, env: dict[str, str]
) -> dict[str, Contestant | Missing]:
    names = ("next_prisma", "next_handwritten")
    if isinstance(ready.next, Missing):
        return dict.fromkeys(names, ready.next)
    port, place = free_port(), stand.place
    env = env | upstream(stand.upstream.port) | {"NEXT_TELEMETRY_DISABLED": "1"}
    command = next_command(ready.next, "start", "-H", "127.0.0.1", "-p", str(port))
    program = _peer(stack, stand, "next", command, port, env, NEXT)
    if isinstance(program, Missing):
        return dict.fromkeys(names, program)
    lookups = people.with_token(stand.crowd.lookups, "/api/token")
    rotated = people.with_current(stand.crowd.handwritten, "/api/refresh")
    titles = ("Next.js route + Prisma look-up", "Next.js hand-written refresh route")
    files = (
        write_requests(place / "next.requests", lookups),
        write_requests(place / "handwritten.requests", rotated),
    )
    return {
        name: Contestant(name, title, program, file, port)
        for name, title, file in zip(names, titles, files, strict=True)
    }


def _nginx(stack: ExitStack, stand: Stand, ready: Ready) -> Contestant | Missing:
    if isinstance(ready.nginx, Missing):
        return ready.nginx
    port, root = free_port(), stand.place / "nginx"
    root.mkdir(mode=0o755)
    body = json.loads((stand.place / "bodies.json").read_text())["/refresh"]
    (root / "refresh").write_text(body)
    (root / "nginx.conf").write_text(_NGINX.format(port=port, root=root))
    command: list[Path | str] = [ready.nginx, "-p", root, "-c", "nginx.conf", "-e", "stderr"]
    program = _peer(stack, stand, "nginx", command, port, {})
    if isinstance(program, Missing):
        return program
    asked = people.always(people.with_token(stand.crowd.lookups), body.encode())
    return Contestant(
        "nginx", "nginx static", program, write_requests(stand.place / "nginx.requests", asked), port
    )


def _peer(
    stack: ExitStack,
    stand: Stand,
    name: str,
    command: list[Path | str],
    port: int,
    env: dict[str, str],
    cwd: Path = FOLDER,
) -> Program | Missing:
    """Start a peer; one that does not come up is missing, with its own words."""
    try:
        return stack.enter_context(
            running(
                name, command, port=port, folder=stand.place, cores={stand.cores.server}, env=env, cwd=cwd
            )
        )
    except (NotUp, NotFit) as error:
        return Missing(str(error))
