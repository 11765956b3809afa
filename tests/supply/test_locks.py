"""Every line of a lock is understood, or it is an error."""

import pytest

from supply import locks
from supply.locks import Unreadable, read_lock

HASH = f"    --hash=sha256:{'b' * 64}"


@pytest.fixture
def lock(tmp_path):
    def write(text):
        path = tmp_path / "some.lock"
        path.write_text(text)
        return path

    return write


def test_a_package_has_its_marker_its_hashes_and_who_wants_it(lock):
    wanted = "    # via\n    #   -c other.lock\n    #   beta\n"
    text = f"a-b==1.0.post2 ; os_name == 'nt' \\\n{HASH} \\\n{HASH}\n{wanted}"
    (one,) = read_lock(lock(text))
    assert (one.name, one.version, one.marker) == ("a-b", "1.0.post2", "os_name == 'nt'")
    assert (len(one.hashes), one.wanted_by) == (2, ("beta",))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no package"),
        ("a==1.0\n", "no hash for: a"),
        (f"{HASH}\n", "belongs to no package"),
        (f"a==1.0 \\\n{HASH}\nb @ https://example.com/b.whl\n", "neither a package"),
        (f"a==1.0 \\\n{HASH}\n--no-binary :all:\n", "neither a package"),
        (f"a==1.0 \\\n{HASH}\nc>=2\n", "neither a package"),
        ("a==1.0 \\\n    --hash=md5:00\n", "neither a package"),
    ],
)
def test_a_line_that_is_not_understood_is_an_error(lock, text, why):
    with pytest.raises(Unreadable, match=why):
        read_lock(lock(text))


def test_every_pin_of_the_locks_here_is_read():
    for name in locks.LOCKS:
        pins = [line for line in (locks.ROOT / name).read_text().splitlines() if "==" in line.split(" ;")[0]]
        assert len(read_lock(locks.ROOT / name)) == len(pins)


def test_what_the_image_is_made_of_is_cut_from_the_one_lock_that_has_everything():
    everything = {(one.name, one.version) for one in read_lock(locks.ROOT / locks.ALL)}
    for name in (locks.IMAGE, locks.IMAGE_BUILD):
        assert {(one.name, one.version) for one in read_lock(locks.ROOT / name)} <= everything
