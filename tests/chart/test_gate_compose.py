"""The real Docker Compose reads the Compose file: what it refuses, warns of or leaves unsaid is a finding."""

import pytest

from tests.chart.compose import check_compose, resolved

GOOD = """
services:
  web:
    image: web:1
    environment: {CLIENT: "${CLIENT?put CLIENT into .env}"}
    depends_on: {base: {condition: service_healthy}}
  base:
    image: base:1
    healthcheck: {test: [CMD, "true"]}
  demo:
    image: demo:1
    profiles: [demo]
    depends_on: {web: {condition: service_started}}
"""


@pytest.fixture
def written(tmp_path):
    """A function that writes a Compose file and returns its path."""

    def write(text):
        path = tmp_path / "docker-compose.yml"
        path.write_text(text)
        return path

    return write


def test_a_good_file_passes_with_each_profile(written):
    assert check_compose(written(GOOD)) == []


@pytest.mark.parametrize(
    ("wrong", "right", "place", "said"),
    [
        ("imag: web:1", "image: web:1", "(no profile)", "imag"),
        ("service_healty", "service_healthy", "(no profile)", "condition"),
        (
            "{other: {condition: service_started}}",
            "{web: {condition: service_started}}",
            "(profile demo)",
            "other",
        ),
        ("web:${NOBODY_SAID}", "web:1", "(no profile)", "NOBODY_SAID"),
    ],
)
def test_a_broken_file_is_a_finding_that_says_what(written, wrong, right, place, said):
    found = check_compose(written(GOOD.replace(right, wrong, 1)))

    assert any(problem.path == place and said in problem.text for problem in found)


def test_a_file_that_is_no_yaml_is_a_finding(written):
    assert check_compose(written("services: ["))


def test_nothing_of_the_callers_environment_or_env_file_stands_in(written, monkeypatch):
    monkeypatch.setenv("NOBODY_SAID", "latest")
    path = written(GOOD.replace("web:1", "web:${NOBODY_SAID}", 1))
    (path.parent / ".env").write_text("NOBODY_SAID=latest\n")

    assert any("NOBODY_SAID" in problem.text for problem in check_compose(path))


def test_the_file_can_be_read_as_compose_understands_it(written):
    services = resolved(written(GOOD), CLIENT="given")["services"]

    assert services["web"]["environment"] == {"CLIENT": "given"}
    assert "demo" in services


def test_what_compose_refuses_cannot_be_read(written):
    with pytest.raises(ValueError, match="put CLIENT into"):
        resolved(written(GOOD))
