"""Secrets in files: read as they are meant, changed while running, shown to nobody."""

import os

import pytest

from service.secrets import LARGEST_FILE, Secret, read_secret
from service.settings import ConfigurationError, load_settings
from tests.support.environment import digest_of, environment, key_of

SECRETS = {
    "TOKEN_BROKER_DATABASE_URL": ("postgresql://h/d", "database_url"),
    "TOKEN_BROKER_REDIS_URL": ("redis://h", "redis_url"),
    "TOKEN_BROKER_ENCRYPTION_KEYS": (f"a:{key_of('a')}", "encryption_keys"),
    "TOKEN_BROKER_FINGERPRINT_KEYS": (f"b:{key_of('b')}", "fingerprint_keys"),
    "TOKEN_BROKER_API_KEYS": (f"c:{digest_of('c')}", "api_keys"),
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "secret"


@pytest.fixture
def number(file):
    """A secret that must be a number, read from its file."""
    file.write_text("1\n")
    return Secret("NUMBER", file, int)


@pytest.mark.parametrize("name", [*SECRETS, "X_CAL_SECRET_KEY"])
def test_each_secret_may_come_from_a_file(name, file):
    text, field = SECRETS.get(name, ("hush-of-client-1", ""))
    file.write_text(f"{text}\n")
    settings = load_settings(environment(**{name: None, f"{name}_FILE": str(file)}))
    assert settings.warnings == ()
    assert (getattr(settings, field) if field else settings.clients[0].secret).raw == text


def test_a_secret_given_twice_is_refused(file):
    with pytest.raises(ConfigurationError, match="is set twice: keep it or X_CAL_SECRET_KEY_FILE"):
        load_settings(environment(X_CAL_SECRET_KEY_FILE=str(file)))


@pytest.mark.parametrize(
    ("content", "text"), [(b"s", "s"), (b"s\n", "s"), (b"s ", "s "), ("s\u00e9\n".encode(), "s\u00e9")]
)
def test_exactly_one_final_newline_is_taken_off(file, content, text):
    file.write_bytes(content)
    assert read_secret(file) == text


@pytest.mark.parametrize(
    "content", [b"s\n\n", b"s\r\n", b"a\nb", b"s\0", b"\ts", b"\x7f", "s\u2028".encode()]
)
def test_another_control_character_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(ValueError, match="has a control character in it"):
        read_secret(file)


def test_a_file_that_is_no_text_or_too_large_is_refused(file):
    file.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_secret(file)
    file.write_bytes(b"s" * (LARGEST_FILE + 1))
    with pytest.raises(ValueError, match="larger than"):
        read_secret(file)


@pytest.mark.parametrize("path", ["/nowhere/5ecret", "/tmp", "5ecret\x00value", "5" * 5000])
def test_a_secret_put_where_its_file_belongs_is_not_shown(path):
    with pytest.raises(ConfigurationError, match="its file cannot be read") as refused:
        load_settings(environment(X_CAL_SECRET_KEY=None, X_CAL_SECRET_KEY_FILE=path))
    assert path not in str(refused.value)


def test_a_control_character_in_a_variable_is_refused():
    with pytest.raises(ConfigurationError, match="X_CAL_SECRET_KEY: has a control character"):
        load_settings(environment(X_CAL_SECRET_KEY="secret\n"))


def test_an_unchanged_file_is_not_read_again(number, file):
    before = file.stat()
    file.write_text("2\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not number.recheck(pytest.fail)


def test_a_changed_file_gives_a_new_value_to_those_who_follow(number, file):
    taken = []
    number.follow(taken.append)
    file.write_text("22\n")
    assert number.recheck(pytest.fail)
    assert (number.value, taken) == (22, [22])


def test_a_mounted_secret_is_followed_through_its_symbolic_link(tmp_path):
    for version in ("one", "two"):
        (tmp_path / version).write_text("1" if version == "one" else "2")
    link = tmp_path / "current"
    link.symlink_to("one")
    secret = Secret("NUMBER", link, int)
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(link)
    assert secret.recheck(pytest.fail)
    assert secret.value == 2


def test_a_file_written_anew_with_the_same_text_is_no_news(number, file):
    number.follow(pytest.fail)
    file.write_text("1")
    assert not number.recheck(pytest.fail)


@pytest.mark.parametrize("spoil", [lambda file: file.write_text("x y"), lambda file: file.unlink()])
def test_a_spoiled_file_keeps_the_old_value_and_is_complained_about_once(number, file, spoil):
    complaints = []
    spoil(file)
    for _ in range(3):
        assert not number.recheck(lambda name, _: complaints.append(name))
    assert (number.value, complaints) == (1, ["NUMBER"])


def test_a_file_that_is_mended_is_taken_again(number, file):
    file.write_text("x y")
    number.recheck(lambda *_: None)
    file.write_text("333")
    assert number.recheck(pytest.fail)
    assert number.value == 333


def test_a_secret_does_not_show_itself():
    settings = load_settings(environment())
    shown = f"{settings!r} {settings} {settings.encryption_keys!r} {settings.api_keys.value!r}"
    for secret in settings.sensitive_texts():
        assert secret not in shown


def test_what_must_not_be_seen_in_logs_is_known_piece_by_piece():
    texts = load_settings(environment(DATABASE_URL="postgresql://u:p%40ss-word@h/d")).sensitive_texts()
    assert {
        "p%40ss-word",
        "p@ss-word",
        "redis-password",
        key_of("e"),
        key_of("f"),
        "hush-of-client-1",
    } <= texts


def test_a_given_secret_never_changes():
    assert not Secret("GIVEN", "1", int).recheck(pytest.fail)


def test_a_clients_secret_may_stand_in_its_file_with_the_one_before_it(file):
    file.write_text("the-new-one\nthe-old-one\n")
    settings = load_settings(environment(X_CAL_SECRET_KEY=None, X_CAL_SECRET_KEY_FILE=str(file)))
    assert settings.clients[0].secret.value == ("the-new-one", "the-old-one")
    assert {"the-new-one", "the-old-one"} <= settings.sensitive_texts()


@pytest.mark.parametrize(
    "text", ["a\n\n", "\na", "a\nb\nc", "a\nb\n\n", "a\r\nb", "a\na", "a b\nc", "a\tb\nc"]
)
def test_two_secrets_stand_on_exactly_two_lines(file, text):
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"X_CAL_SECRET_KEY: (has|must)"):
        load_settings(environment(X_CAL_SECRET_KEY=None, X_CAL_SECRET_KEY_FILE=str(file)))


@pytest.mark.parametrize("name", SECRETS)
def test_no_other_secret_has_a_second_line(name, file):
    file.write_text(f"{SECRETS[name][0]}\n{SECRETS[name][0]}")
    with pytest.raises(ConfigurationError, match="has a control character"):
        load_settings(environment(**{name: None, f"{name}_FILE": str(file)}))


def test_two_secrets_are_for_files_alone():
    with pytest.raises(ConfigurationError, match="has a control character"):
        load_settings(environment(X_CAL_SECRET_KEY="the-new-one\nthe-old-one"))


def test_a_folder_that_is_swapped_as_a_whole_is_followed(tmp_path):
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "number").write_text(version[-1])
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "number").symlink_to("..data/number")
    secret = Secret("NUMBER", tmp_path / "number", int)
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert secret.recheck(pytest.fail)
    assert secret.value == 2


LOGINS = {
    "DATABASE_URL": [
        "postgresql://a:old@h1,h2:5433/d?sslmode=require&target_session_attrs=read-write",
        "postgresql://b:new@h1,h2:5433/d?target_session_attrs=read-write&sslmode=require&password=x",
    ],
    "REDIS_URL": [
        "redis+sentinel://a:old@s1,s2/main/1?sentinel_password=old",
        "redis+sentinel://a:new@s1,s2/main/1?sentinel_username=s&sentinel_password=new",
    ],
}
ELSEWHERE = {
    "DATABASE_URL": [
        "postgresql://a:old@h2/d",
        "postgresql://a:old@h/e",
        "postgres://a:old@h/d?sslmode=disable",
    ],
    "REDIS_URL": ["redis://h/1", "redis://g/0", "rediss://h/0", "redis://h:6380/0"],
}
HERE = {"DATABASE_URL": "postgresql://a:old@h/d", "REDIS_URL": "redis://h/0"}


def from_file(name, file):
    return load_settings(environment(**{name: None, f"{name}_FILE": str(file)}))


@pytest.mark.parametrize("name", LOGINS)
def test_who_logs_in_may_change_while_the_program_runs(name, file):
    before, after = LOGINS[name]
    file.write_text(before)
    settings = from_file(name, file)
    file.write_text(after)
    assert settings.recheck_secrets(pytest.fail) == (f"TOKEN_BROKER_{name}",)
    assert getattr(settings, name.lower()).value == after


@pytest.mark.parametrize(("name", "url"), [(name, url) for name, urls in ELSEWHERE.items() for url in urls])
def test_where_to_may_not(name, url, file):
    file.write_text(HERE[name])
    settings, complaints = from_file(name, file), []
    file.write_text(url)
    assert settings.recheck_secrets(lambda *told: complaints.append(told)) == ()
    assert getattr(settings, name.lower()).value == HERE[name]
    assert "only user and password may change" in complaints[0][1]
