"""What the chart tells the program, told to the program: it must take every shape, without a complaint.

The environment and the mounted files of each role are taken from the rendered pods, laid into a folder, and
read by the program's own settings.
"""

import base64
import tomllib

import pytest

from service.settings import load_settings
from tests.chart.found import Rendered, env_of, mounted_secrets, refusal, shape
from tests.chart.helm import render
from tests.chart.shapes import all_shapes

MOUNTED = {
    "/run/secrets/token-broker-tls": "tls",
    "/run/secrets/token-broker-cluster": "cluster",
    "/run/secrets/token-broker": "secrets",
    "/etc/token-broker": "config",
}
ROLES = {"service": "serve", "worker": "work", "migrate": "migrate"}


def a_key(seed):
    return f"2026a:{base64.b64encode(bytes([seed]) * 32).decode()}"


SECRETS = {
    "DATABASE_URL": "postgresql://broker:password@db.internal:5432/broker?sslmode=verify-full",
    "REDIS_URL": "rediss://:password@redis.internal:6379/0",
    "ENCRYPTION_KEYS": a_key(1),
    "FINGERPRINT_KEYS": a_key(2),
    "WEBHOOK_SECRETS": f"whsec_{base64.b64encode(bytes(32)).decode()}",
    "API_KEYS": f"backend:{'0' * 64}:users:read+tokens:read",
}


def laid_out(documents, pod, container, folder):
    """Lay the files of a pod into a folder; returns the environment with the paths that they have there."""
    for path in mounted_secrets(pod):
        file = folder / "secrets" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SECRETS.get(path, "an-oauth-clients-secret") + "\n")
    for path in ("tls/tls.crt", "tls/tls.key", "tls/ca.crt", "cluster/ca.crt", "cluster/token"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).touch()
    for document in documents:
        if "clients.toml" in document.get("data", {}):
            (folder / "config").mkdir()
            (folder / "config" / "clients.toml").write_text(moved(document["data"]["clients.toml"], folder))
    return {name: moved(value, folder) for name, value in env_of(container).items()}


def told(name, component, folder):
    """Return what a component of a shape is told, as an environment."""
    rendered = Rendered(values=shape(name))
    return laid_out(rendered.documents, rendered.pod(component), rendered.container(component), folder)


def moved(text, folder):
    for mounted, here in MOUNTED.items():
        text = text.replace(mounted, str(folder / here))
    return text


@pytest.mark.parametrize("component", ROLES)
@pytest.mark.parametrize(
    "name",
    ["minimal", "many-clients", "external-secrets", "several-processes", "keda", "callers", "everything-on"],
)
def test_the_program_takes_what_the_chart_tells_it(name, component, tmp_path):
    settings = load_settings(told(name, component, tmp_path), role=ROLES[component])
    assert settings.warnings == ()


def test_the_clients_are_read_as_they_were_written(tmp_path):
    acme, globex, europe = load_settings(told("many-clients", "service", tmp_path), role="serve").clients
    assert (acme.name, acme.api_url, acme.origins) == ("acme", "https://api.cal.com/v2", ())
    assert globex.origins == ("https://app.globex.example.com",)
    assert (europe.api_url, str(europe.rate), europe.origins) == ("https://api.cal.eu/v2", "200/min", ())


def test_a_client_written_with_quotes_cannot_say_more_than_its_own_table():
    url = 'https://api.cal.com/v2"\\<[[clients]]'
    written = Rendered(at_url(url)).named("ConfigMap", "clients")["data"]["clients.toml"]
    assert [client["api_url"] for client in tomllib.loads(written)["clients"]] == [url]
    assert "/clients/0/apiUrl" in refusal(at_url('https://api.cal.com/v2"\n[[clients]]'))


def at_url(url):
    clients = [{"name": "acme", "id": "clacme", "secret": {"key": "A"}, "apiUrl": url}]
    return {"config": {"CAL_OAUTH_CLIENT_ID": ""}, "clients": clients}


def test_beside_an_app_it_takes_it_too(tmp_path):
    with all_shapes() as shapes:
        chart = next(shape.chart for shape in shapes if shape.name == "example app-with-sidecar")
        documents = render(chart=chart, name="shop")
    (app,) = (
        each for each in documents if each["kind"] == "Deployment" and each["metadata"]["name"] == "shop-app"
    )
    pod = app["spec"]["template"]["spec"]
    settings = load_settings(laid_out(documents, pod, pod["initContainers"][0], tmp_path), role="serve")
    assert settings.warnings == ()
    assert str(settings.internal_address) == "127.0.0.1:18081"
