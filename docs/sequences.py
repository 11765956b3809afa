"""Pictures of docs/architecture.md: what comes after what. Each is drawn by a function of its name."""

from __future__ import annotations

from pathlib import Path

from docs.drawing import Picture
from docs.scenes import answer, deployments, rooms, worker

PICTURES = Path(__file__).parent / "pictures"


def rotation() -> Picture:
    """One rotation with its claim, over two processes."""
    told = """Process A starts one flight for all its callers, takes the lease in Redis and a call from
        the budget, and commits a claim on generation N to PostgreSQL. Only then it presents the
        refresh token to Cal.com. The new pair is committed as the next generation, with its lineage
        row, fenced by the claim's epoch, before anything else happens. Then the cache is written and
        the waiters are woken: process B, which found the lease taken, finds the new generation in
        the row. Nobody but A called upstream."""
    picture = Picture("A rotation with its claim, over two processes", told, 870, 680)
    b, a, redis, postgres, upstream = 90, 270, 450, 620, 790
    ours = [(b, "process B", "ours"), (a, "process A", "ours")]
    stores = [(redis, "Redis", "store"), (postgres, "PostgreSQL", "store")]
    picture.lanes([*ours, *stores, (upstream, "Cal.com", "outside")], 16, 665)
    picture.text(a, 82, "callers ask: one flight", "label")
    picture.way((a, 116), (redis, 116), words="the user's lease: taken")
    picture.way((b, 160), (redis, 160), words="the lease? busy: waits", at=0.25)
    picture.way((a, 204), (redis, 204), words="one call of the budget")
    picture.way((a, 248), (postgres, 248), words="claim N: epoch + 1")
    picture.box((530, 258, 180, 44), "claim: N, by A, since T | committed", "store")
    picture.way((a, 336), (upstream, 336), words="the refresh token of N", at=0.5)
    picture.way((upstream, 374), (a, 374), words="a new pair", at=0.5)
    picture.way((a, 414), (postgres, 414), words="settle, if the claim is still this one")
    picture.box(
        (490, 424, 260, 44), "generation N + 1, no claim | with its lineage row: one transaction", "store"
    )
    picture.way((a, 506), (redis, 506), words="the sealed token, cached")
    picture.way((a, 544), (redis, 544), words="wake-up; the lease back")
    picture.way((redis, 570), (b, 570), words="wake-up", dashed=True, at=0.75)
    picture.way((b, 606), (postgres, 606), words="the row: N + 1", at=0.17)
    picture.text(a, 648, "callers are answered", "label")
    picture.text(b, 648, "callers are answered", "label")
    return picture


def crash() -> Picture:
    """A process dies between upstream's answer and the commit."""
    told = """Process A has claimed generation N and presented its refresh token; Cal.com has issued a new
        pair; A dies before it commits. The claim stands in PostgreSQL until its deadline. Then a
        caller who waits or a sweep retakes it with a higher epoch and presents the same refresh
        token. If the first call never arrived, that gives the new pair. If it did, Cal.com says the
        token is spent: the access token is served while it is good, and one force-refresh replaces it
        when it has ended. Had A only been stopped, its commit is refused, because the claim is no
        longer its own. If the user is gone upstream the grant is dead."""
    picture = Picture("A process dies with upstream's answer, and what comes of it", told, 860, 600)
    a, postgres, b, upstream = 90, 320, 560, 780
    ours = [(a, "process A", "ours"), (postgres, "PostgreSQL", "store"), (b, "process B", "ours")]
    picture.lanes([*ours, (upstream, "Cal.com", "outside")], 16, 325)
    picture.way((a, 90), (postgres, 90), words="claim N, epoch e")
    picture.way((a, 124), (upstream, 124), words="the refresh token of N", at=0.17)
    picture.way((upstream, 156), (a + 46, 156), words="a new pair", at=0.84, dashed=True)
    picture.box((a - 44, 140, 88, 32), "dies", "bad")
    picture.box((postgres - 115, 182, 230, 44), "the claim stands | until CLAIM_DEADLINE (20 s)", "store")
    picture.text(b, 236, "a caller who waits, or a sweep", "label")
    picture.way((b, 264), (postgres, 264), words="retake N, epoch e + 1")
    picture.way((b, 300), (upstream, 300), words="the same token again")
    stopped = "A was only stopped | its commit finds another epoch: | fenced out, its pair discarded"
    picture.box((20, 350, 250, 66), stopped, "outside")
    picture.way((a, 325), (a, 348), dashed=True)
    picture.box(
        (300, 350, 250, 66),
        "the first call never arrived | a new pair: settled as N + 1; | nobody noticed",
        "good",
    )
    spent = "it did: the token is spent | asked once more if the pair is | seconds old"
    picture.box((580, 350, 260, 66), spent, "store")
    picture.way((b, 325), (b, 338), (425, 338), (425, 348), dashed=True)
    picture.way((upstream, 325), (upstream, 348), dashed=True)
    picture.way((710, 416), (710, 448))
    picture.box(
        (580, 450, 260, 48), "access token good: it is served | no force yet; due when it ends", "good"
    )
    picture.way((710, 498), (710, 530), words="ended, or refused")
    picture.box((580, 532, 260, 48), "one force-refresh | a new pair: settled as N + 1", "good")
    picture.way((580, 556), (552, 556))
    picture.box((300, 532, 250, 48), "the user is gone upstream | DEAD; said to either call", "bad")
    return picture


def drawn() -> dict[Path, str]:
    """Return every picture by the file it belongs in."""
    scenes = (rooms, answer, rotation, worker, crash, deployments)
    return {PICTURES / f"{scene.__name__}.svg": scene().svg() for scene in scenes}
