"""When a process, or one of several that share a folder, asks to be sent requests for the first time."""

from types import SimpleNamespace

from service.readiness import readiness_of


def broker(*, seen):
    """What readiness looks at: stores that nobody pings here."""
    return SimpleNamespace(
        database=SimpleNamespace(seen=seen, behind=False, ping=None), redis=SimpleNamespace(ping=None)
    )


def test_a_process_begins_when_it_has_seen_its_database():
    alone = broker(seen=False)
    readiness = readiness_of(alone)
    assert not readiness.begun
    alone.database.seen = True
    assert readiness.begun


def test_who_takes_the_place_of_a_dead_process_has_begun_with_the_others(tmp_path):
    late = readiness_of(broker(seen=False), str(tmp_path))
    assert not late.begun
    assert readiness_of(broker(seen=True), str(tmp_path)).begun
    assert late.begun


def test_a_folder_that_is_gone_changes_nothing(tmp_path):
    gone = str(tmp_path / "gone")
    assert readiness_of(broker(seen=True), gone).begun
    assert not readiness_of(broker(seen=False), gone).begun
