"""Pictures of docs/architecture.md: what stands beside what. Each is drawn by a function of its name."""

from __future__ import annotations

from docs.drawing import Picture


def rooms() -> Picture:
    """The rooms of the code, and what each may import."""
    told = """The main programs import everything below. Wiring imports broker, adapters, the foundation and
        the list of migrations. The api and the worker's jobs import the broker and not each other.
        The foundation imports the broker. Adapters import the broker's model, errors and ports, no
        use case. Inside the broker use cases import policy, recovery, ports and flights, which import
        model and errors. The broker imports nothing but the standard library."""
    picture = Picture("The rooms of the code, and what each may import", told, 860, 560)
    picture.box(
        (240, 20, 380, 50), "cli · serving · worker/main | the main programs: they open doors on a broker"
    )
    picture.box((30, 130, 200, 66), "service/api | public · internal · observe | aiohttp, pydantic")
    picture.box((250, 130, 160, 66), "worker/jobs | a few lines around | a use case; arq")
    picture.box((430, 130, 180, 66), "service/wiring | introduces them | to each other")
    picture.box((650, 130, 185, 66), "foundation | settings · secrets | logs · metrics · tracing", "outside")
    picture.frame((30, 250, 540, 205), "service/broker: decides; standard library only")
    picture.box(
        (50, 285, 500, 50), "use cases | answers · refresh · claims · sweeps · users · grants · creation ..."
    )
    picture.box((50, 360, 240, 50), "policy · recovery · expiry | pure: are told what time it is")
    picture.box((310, 360, 240, 50), "ports · flights | the world as protocols")
    picture.text(300, 438, "model · errors: what all of them speak in", "head")
    adapters = (
        "service/adapters | postgres · cache · lease | budget · wakeups | upstream · vault | one thing each"
    )
    picture.box((650, 285, 185, 120), adapters)
    picture.box((430, 490, 180, 50), "sql | numbered migrations", "outside")
    picture.box((650, 490, 185, 50), "PostgreSQL · Redis | Cal.com · your app", "store")
    picture.way((260, 70), (260, 100), (130, 100), (130, 128))
    picture.way((330, 70), (330, 128))
    picture.way((520, 70), (520, 128))
    picture.way((620, 45), (740, 45), (740, 128))
    for x in (130, 330, 460):
        picture.way((x, 196), (x, 283))
    picture.way((610, 150), (648, 150))
    picture.way((610, 175), (630, 175), (630, 300), (648, 300))
    picture.way((590, 196), (590, 470), (520, 470), (520, 488))
    picture.way((740, 196), (740, 230), (530, 230), (530, 283))
    picture.way((170, 335), (170, 358))
    picture.way((430, 335), (430, 358))
    picture.way((650, 385), (552, 385))
    picture.way((740, 405), (740, 488), words="speaks to", dashed=True)
    return picture


def answer() -> Picture:
    """The path of an answer that is at hand: near, Redis, PostgreSQL."""
    told = """A token or a user's id is looked for in this process's memory, which keeps an answer for a
        second at most; then in Redis, where all look-ups of one turn of the loop are one script call;
        then in PostgreSQL. Whatever was found goes to the policy, which serves it, serves it and
        refreshes behind the caller's back, has it confirmed upstream, or has the pair replaced first."""
    picture = Picture("The path of an answer: near, Redis, PostgreSQL", told, 860, 485)
    picture.box((20, 30, 180, 66), "a browser | with an access token, | the current or an older", "outside")
    picture.box((20, 130, 180, 66), "a service | with a user's id | and an API key", "outside")
    picture.way((200, 63), (248, 63))
    picture.way((200, 163), (325, 163), (325, 140))
    picture.box((250, 30, 150, 108), "look for | the token's HMAC | (fingerprint), | or the user")
    picture.way((400, 58), (458, 58))
    picture.box(
        (460, 30, 370, 56),
        "near: this process, for a second at most | up to 50,000 users; nothing to invalidate",
    )
    redis = "fingerprint → user, generation; user → sealed token"
    picture.box((460, 130, 370, 74), f"Redis | {redis} | one script call for all look-ups of a turn", "store")
    rows = "lineage → user, generation; grants → sealed pair"
    picture.box((460, 250, 370, 74), f"PostgreSQL | {rows} | what is found goes into Redis and near", "store")
    picture.way((640, 86), (640, 128), words="not there")
    picture.way((640, 204), (640, 248), words="not there, or Redis is away")
    picture.way((460, 167), (430, 167), (430, 353))
    picture.way((460, 287), (430, 287), (430, 353))
    picture.way((830, 58), (846, 58), (846, 378), (832, 378))
    picture.box(
        (20, 355, 810, 46),
        "policy.on_read: how much life is left, what was presented, what marks the grant bears",
    )
    decisions = (
        (20, "SERVE | FRESH, or an older token", "good"),
        (226, "SERVE_AND_REFRESH | STALE: behind one's back", "good"),
        (432, "CONFIRM | the current is in doubt", "store"),
        (638, "MUST_REFRESH | EXPIRED, or refused", "bad"),
    )
    for x, words, kind in decisions:
        picture.way((x + 96, 401), (x + 96, 423))
        picture.box((x, 425, 194, 46), words, kind)
    return picture


def worker() -> Picture:
    """What the worker does with a tick."""
    told = """A tick comes through arq every five seconds, or from the worker itself when none came for
        three ticks. For each client at once: as many calls as the budget gives are taken, so many due
        grants are claimed from the index on due_at, the most urgent first, and each is rotated,
        confirmed or parked. New pairs are settled in groups. When half of what was claimed has ended
        the next batch is claimed. Once a minute partitions are made and dropped and the tables are
        counted for the metrics."""
    picture = Picture("What the worker does", told, 860, 510)
    picture.box((20, 20, 200, 56), "tick, through arq | every 5 s, to one worker", "store")
    picture.box((20, 96, 200, 56), "tick of its own | none came for 3 ticks")
    picture.way((220, 48), (268, 48))
    picture.way((220, 124), (244, 124), (244, 72), (268, 72))
    picture.box((270, 30, 260, 60), "sweep, for every client at once | none with an open circuit, or a 429")
    picture.way((530, 60), (588, 60))
    picture.box((590, 20, 250, 80), "budget | calls in hand, 128 at most; | who waits comes first", "store")
    picture.way((715, 100), (715, 138), words="so many")
    picture.box(
        (590, 140, 250, 80), "claim what is due | index on due_at, most urgent | first; SKIP LOCKED", "store"
    )
    picture.way((715, 220), (715, 282))
    picture.box((590, 284, 250, 60), "when_due | decided when its turn has come")
    picture.way((590, 314), (532, 314))
    picture.way((590, 298), (560, 298), (560, 234), (532, 234))
    picture.way((590, 330), (560, 330), (560, 394), (532, 394))
    picture.box((270, 204, 260, 60), "PARK | not yet: its next instant is set", "outside")
    picture.box((270, 284, 260, 60), "ROTATE: 96 at once at most | the same refresh as on request", "good")
    picture.box((270, 364, 260, 60), "CONFIRM | a distrust window has ended", "outside")
    picture.way((270, 314), (222, 314))
    picture.box(
        (20, 274, 200, 80), "settled in groups | what comes during a commit | goes with the next one", "store"
    )
    picture.way((120, 274), (120, 182), (400, 182), (400, 92), dashed=True)
    picture.text(132, 174, "half of them have ended: the next batch", "label", "start")
    upkeep = "partitions made and dropped, tables counted"
    picture.box((20, 444, 400, 50), f"upkeep, once a minute | {upkeep}", "outside")
    webhooks = "outbox in PostgreSQL → your app's webhook"
    picture.box((440, 444, 400, 50), f"notices, looked for every second | {webhooks}", "outside")
    return picture


def deployments() -> Picture:
    """The shapes it is deployed in."""
    told = """Beside an app on one machine: a proxy passes the refresh path to the service's public
        listener, the app asks the internal one, both processes share PostgreSQL and Redis. The Helm
        chart in mode deployment: an ingress, service pods behind two Services, worker pods, a
        migration Job. In mode sidecar: the service's container is in the app's own pods; worker and
        migrations come from the chart."""
    picture = Picture("Deployment shapes", told, 860, 580)
    _one_machine(picture)
    _own_service(picture)
    _in_the_apps_pods(picture)
    return picture


def _one_machine(picture: Picture) -> None:
    picture.frame((16, 12, 400, 270), "Beside your app: systemd or Docker Compose")
    picture.box((36, 52, 160, 50), "nginx, or your app | /api/cal/refresh", "outside")
    picture.box((36, 126, 160, 50), "your app | GET /v1/users/...", "outside")
    picture.box((256, 52, 140, 124), "serve | :8080 public | :8081 internal | :9090 observe")
    picture.box((256, 212, 140, 50), "work | :9090 observe")
    picture.box((36, 212, 160, 50), "PostgreSQL · Redis", "store")
    picture.way((196, 77), (254, 77))
    picture.way((196, 151), (254, 151))
    picture.way((290, 176), (290, 194), (150, 194), (150, 210))
    picture.way((256, 237), (198, 237))


def _own_service(picture: Picture) -> None:
    picture.frame((440, 12, 404, 270), "Helm, mode: deployment")
    picture.box((458, 52, 160, 50), "Ingress, HTTPRoute | to the public Service", "outside")
    picture.box((458, 126, 160, 50), "your app's pods | the internal Service", "outside")
    picture.box((670, 52, 156, 50), "service pods | 2, or by load")
    picture.box((670, 126, 156, 50), "worker pods | 2, or by load")
    picture.box((670, 212, 156, 50), "Job | migrates first")
    picture.box((458, 212, 160, 50), "PostgreSQL · Redis", "store")
    picture.way((618, 70), (668, 70))
    picture.way((618, 151), (640, 151), (640, 88), (668, 88))
    picture.way((826, 77), (836, 77), (836, 194), (570, 194), (570, 210))
    picture.way((748, 176), (748, 194))
    picture.way((670, 237), (620, 237))


def _in_the_apps_pods(picture: Picture) -> None:
    picture.frame((16, 300, 828, 264), "Helm, mode: sidecar")
    picture.frame((36, 338, 500, 206), "each pod of your app")
    picture.box((56, 378, 180, 70), "your app | its proxy passes | /api/cal/refresh on", "outside")
    picture.box(
        (310, 370, 206, 86),
        "serve | a native sidecar: up before | your app, ends after it; | both on localhost",
    )
    picture.way((236, 400), (308, 400))
    picture.way((236, 430), (308, 430))
    picture.text(272, 392, "public", "label")
    picture.text(272, 448, "internal", "label")
    picture.box((590, 340, 170, 50), "worker pods | from the chart")
    picture.box((590, 412, 170, 50), "Job | migrates first")
    picture.box((590, 490, 170, 54), "PostgreSQL · Redis | shared by all", "store")
    picture.way((413, 456), (413, 517), (588, 517))
    picture.way((760, 365), (810, 365), (810, 508), (762, 508))
    picture.way((760, 437), (785, 437), (785, 526), (762, 526))
