"""Callers without keys: what the service is told of them, what it has mounted, and what is refused."""

import pytest

from tests.chart.found import Rendered, mounted_secrets, refusal, shape

ACCOUNT = {"namespace": "shop", "name": "backend"}
OWN_API = "https://kubernetes.default.svc/openid/v1/jwks"
CLOUD = "https://oidc.example.com/id/keys"


def accounts(*listed, **more):
    return {"callers": {"serviceAccounts": list(listed or [ACCOUNT]), **more}}


def by_certificates(**more):
    certificates = [{"name": "spiffe://cluster.local/ns/shop/sa/backend"}]
    return {"callers": {"certificates": certificates}, "internalTls": {"existingSecret": "tls", **more}}


def volumes(rendered, component="service"):
    return {volume["name"]: volume for volume in rendered.pod(component)["volumes"]}


@pytest.mark.parametrize(
    ("caller", "written"),
    [
        ({}, "shop/backend"),
        ({"scopes": ["users:read", "vouch"]}, "shop/backend:users:read+vouch"),
        ({"clients": ["default"]}, "shop/backend::default"),
        ({"scopes": ["admin"], "clients": ["default"]}, "shop/backend:admin:default"),
    ],
)
def test_a_caller_is_written_as_the_program_reads_it(caller, written):
    env = Rendered(accounts(ACCOUNT | caller)).env("service")
    assert env["TOKEN_BROKER_SERVICE_ACCOUNTS"] == written


def test_without_such_callers_nothing_is_told_and_nothing_mounted():
    rendered = Rendered()
    told = [
        name for name in rendered.env("service") if "ACCOUNT" in name or "TLS" in name or "CALLER" in name
    ]
    assert (told, volumes(rendered).keys()) == ([], {"token-broker-tmp", "token-broker-secrets"})


def test_the_clusters_own_api_is_asked_with_a_short_token_of_the_account_which_has_nothing_else():
    rendered = Rendered(accounts())
    env = rendered.env("service")
    assert env["TOKEN_BROKER_SERVICE_ACCOUNT_JWKS"] == OWN_API
    token, authority = volumes(rendered)["token-broker-cluster"]["projected"]["sources"]
    assert token == {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    assert authority["configMap"]["name"] == "kube-root-ca.crt"
    assert rendered.pod("service")["automountServiceAccountToken"] is False
    assert not [kind for kind in ("Role", "ClusterRole", "RoleBinding") if rendered.all(kind)]


@pytest.mark.parametrize("jwks", [CLOUD, "/etc/cluster/jwks.json"])
def test_for_any_other_source_of_keys_the_pod_has_no_token(jwks):
    rendered = Rendered(accounts(jwks=jwks))
    env = rendered.env("service")
    assert env["TOKEN_BROKER_SERVICE_ACCOUNT_JWKS"] == jwks
    assert "TOKEN_BROKER_SERVICE_ACCOUNT_JWKS_TOKEN_FILE" not in env
    assert "token-broker-cluster" not in volumes(rendered)


@pytest.mark.parametrize("component", ["worker", "migrate"])
def test_nobody_but_the_service_has_any_of_it(component):
    rendered = Rendered(values=shape("callers"))
    names = {"token-broker-cluster", "token-broker-tls"}
    assert not names & volumes(rendered, component).keys()
    assert not [name for name in rendered.env(component) if "ACCOUNT" in name or "TLS" in name]


def ways_out(rendered, component):
    rules = rendered.named("NetworkPolicy", component)["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_the_service_and_nobody_else_is_let_out_to_the_clusters_api_when_it_asks_it():
    asking, not_asking = Rendered(accounts()), Rendered(accounts(jwks=CLOUD))
    assert 6443 in ways_out(asking, "service")
    assert 6443 not in ways_out(asking, "worker") | ways_out(not_asking, "service")


def test_a_certificate_is_mounted_as_a_folder_under_the_names_that_the_program_is_told():
    rendered = Rendered(by_certificates(caKey="ca.crt", certificateKey="chain.pem"))
    (source,) = volumes(rendered)["token-broker-tls"]["projected"]["sources"]
    paths = {item["key"]: item["path"] for item in source["secret"]["items"]}
    assert paths == {"chain.pem": "tls.crt", "tls.key": "tls.key", "ca.crt": "ca.crt"}
    named = {name: value for name, value in rendered.env("service").items() if "INTERNAL_TLS" in name}
    assert set(named.values()) == {f"/run/secrets/token-broker-tls/{path}" for path in paths.values()}


def test_tls_does_without_callers_certificates():
    env = Rendered({"internalTls": {"existingSecret": "tls"}}).env("service")
    assert "TOKEN_BROKER_INTERNAL_TLS_KEY_FILE" in env
    assert "TOKEN_BROKER_INTERNAL_TLS_CA_FILE" not in env


def test_where_nobody_has_a_key_none_is_asked_for():
    rendered = Rendered(values=shape("callers"))
    assert "API_KEYS" not in mounted_secrets(rendered.pod("service"))
    assert "TOKEN_BROKER_API_KEYS_FILE" not in rendered.env("service")


@pytest.mark.parametrize(
    ("tls", "question"),
    [
        ({}, "internal=http://broker-token-broker-internal:8081/v1/users"),
        ({"existingSecret": "tls"}, "internal=https://broker-token-broker-internal:8081/v1/users"),
        ({"existingSecret": "tls", "caKey": "ca.crt"}, "certified=https://broker-token-broker-internal:8081"),
    ],
)
def test_helms_test_asks_the_listener_as_it_is(tls, question):
    assert Rendered({"internalTls": tls}).container("test")["args"][-1] == question


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"callers": {"apiKeys": False}}, "callers.apiKeys: must be true"),
        (by_certificates(), "internalTls.caKey: is missing"),
        ({"internalTls": {"caKey": "ca.crt"}}, "internalTls.existingSecret: is missing"),
        (accounts(ACCOUNT, ACCOUNT), "callers.serviceAccounts[1]: shop/backend stands in the list twice"),
        (accounts(ACCOUNT | {"clients": ["acme"]}), "callers.serviceAccounts[0].clients: acme is none"),
        (accounts(ACCOUNT | {"scopes": ["tokens:write"]}), "/callers/serviceAccounts/0/scopes/0"),
        (accounts({"name": "backend"}), "namespace"),
        (accounts({"namespace": "shop", "name": "*"}), "/callers/serviceAccounts/0/name"),
        (accounts(issuer=""), "/callers/issuer"),
        (accounts(jwks="http://kubernetes.default.svc/openid/v1/jwks"), "/callers/jwks"),
        ({"callers": {"certificates": [{"name": "*.shop.svc"}]}}, "/callers/certificates/0/name"),
        ({"config": {"SERVICE_ACCOUNTS": "shop/backend"}}, "SERVICE_ACCOUNTS"),
    ],
)
def test_what_would_not_start_is_refused_by_its_name(changes, named):
    assert named in refusal(changes)
