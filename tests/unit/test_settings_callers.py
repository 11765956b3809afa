"""Callers that are known by their service account or certificate, as an operator writes them."""

import pytest

from service.settings import Caller, ConfigurationError, callers, load_settings
from service.settings.model import Values
from tests.support.environment import digest_of, environment

ACCOUNT = "shop/backend"
SPIFFE = "spiffe://cluster.local/ns/shop/sa/backend"


@pytest.mark.parametrize(
    ("parse", "name"),
    [(callers.parse_service_accounts, name) for name in (ACCOUNT, "a/b", "0/x.y-z")]
    + [(callers.parse_certificates, name) for name in (SPIFFE, "https://a.b/C_d~", "a.shop.svc", "h")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("rights", "scopes", "clients"),
    [
        ("", callers.DEFAULT_SCOPES, None),
        (":", callers.DEFAULT_SCOPES, None),
        (":admin", {"admin"}, None),
        (":users:read+tokens:read", {"users:read", "tokens:read"}, None),
        (":users:read:acme+beta", {"users:read"}, {"acme", "beta"}),
        ("::acme", callers.DEFAULT_SCOPES, {"acme"}),
    ],
)
def test_a_caller_has_scopes_and_clients_as_one_with_a_key_has(parse, name, rights, scopes, clients):
    assert parse(f"{name}{rights}") == (Caller(name, frozenset(scopes), clients and frozenset(clients)),)


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (callers.parse_service_accounts, "", "entry 1 of 1 is empty"),
        *(
            (callers.parse_service_accounts, text, "must begin with namespace/name")
            for text in ("backend", "/backend", "shop/", "Shop/backend", "shop/back_end", "a.b/c", "shop/a/b",
                         "system:serviceaccount:shop:backend", "n" * 64 + "/a", "shop/*",
                         "shop/" + "a." * 126 + "aa")
        ),
        (callers.parse_service_accounts, f"{ACCOUNT}:users", "must have scopes of"),
        (callers.parse_service_accounts, f"{ACCOUNT},{ACCOUNT}:admin", "has the same name twice"),
        *(
            (callers.parse_certificates, text, "must begin with a URI")
            for text in ("*.shop.svc", "spiffe://", "spiffe://Cluster/x", "spiffe://a/b?c", "spiffe://a//b",
                         "CN=x", "a b", "10.0.0.1/8", "a@b.example", "a." * 1100 + "a")
        ),
        (callers.parse_certificates, f"{SPIFFE}:read", "must have scopes of"),
        (callers.parse_certificates, "spiffe://a:8443/b", "must have scopes of"),
        (callers.parse_certificates, f"{SPIFFE},{SPIFFE}", "has the same name twice"),
    ],
)  # fmt: skip
def test_a_faulty_list_is_refused_with_its_entry(parse, text, said):
    with pytest.raises(ValueError, match=said):
        parse(text)


@pytest.fixture
def files(tmp_path):
    """The settings that name files, with files that are there."""
    named = [
        field.upper() for field in Values.model_fields if field.startswith(("internal_tls_", "service_"))
    ]
    paths = {name: tmp_path / name.lower() for name in named if name.endswith("_FILE")}
    for path in paths.values():
        path.touch()
    return {name: str(path) for name, path in paths.items()}


def accounts(**changes):
    return {
        "SERVICE_ACCOUNTS": f"{ACCOUNT}:users:read",
        "SERVICE_ACCOUNT_ISSUER": "https://issuer.example.com",
        "SERVICE_ACCOUNT_JWKS": "https://kubernetes.default.svc/openid/v1/jwks",
        **changes,
    }


def complaint(**changes):
    with pytest.raises(ConfigurationError) as refused:
        load_settings(environment(**changes))
    return str(refused.value)


def test_the_examples_that_an_error_shows_work_together(files):
    fields = ("service_accounts", "service_account_issuer", "service_account_jwks", "caller_certificates")
    examples = {field.upper(): Values.model_fields[field].examples[0] for field in fields}
    settings = load_settings(environment(**files, **examples))
    assert [caller.name for caller in settings.service_accounts] == [ACCOUNT]
    assert [caller.name for caller in settings.caller_certificates] == [SPIFFE]


@pytest.mark.parametrize("callers_of", ["SERVICE_ACCOUNTS", "CALLER_CERTIFICATES"])
def test_who_lets_callers_in_by_other_means_needs_no_keys(files, callers_of):
    means = accounts() if callers_of == "SERVICE_ACCOUNTS" else files | {callers_of: SPIFFE}
    assert load_settings(environment(API_KEYS=None, **means)).api_keys.value == ()
    assert "API_KEYS: is missing" in complaint(API_KEYS=None)


def test_keys_that_are_given_as_well_count(files):
    settings = load_settings(environment(**accounts(), API_KEYS=f"app:{digest_of('app')}"))
    assert [key.name for key in settings.api_keys.value] == ["app"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (accounts(SERVICE_ACCOUNT_ISSUER=None), "ISSUER: is missing: TOKEN_BROKER_SERVICE_ACCOUNTS needs it"),
        (accounts(SERVICE_ACCOUNT_JWKS=None), "JWKS: is missing: TOKEN_BROKER_SERVICE_ACCOUNTS needs it"),
        (
            accounts(SERVICE_ACCOUNT_JWKS="http://kubernetes.default.svc/openid/v1/jwks"),
            "must be an https URL",
        ),
        (accounts(SERVICE_ACCOUNT_JWKS="/not/there"), "SERVICE_ACCOUNT_JWKS: names a file that is not there"),
        (accounts(SERVICE_ACCOUNT_ISSUER="a b"), "SERVICE_ACCOUNT_ISSUER: must be 1 to 1024 visible ASCII"),
        (accounts(SERVICE_ACCOUNTS=f"{ACCOUNT}::gone"), f"lets {ACCOUNT} act for a client that is not"),
        (
            accounts(SERVICE_ACCOUNT_JWKS_TOKEN_FILE="/not/there"),
            "TOKEN_FILE: names a file that is not there",
        ),
        (
            {"INTERNAL_TLS_KEY_FILE": "/not/there"},
            "CERTIFICATE_FILE: is missing: TOKEN_BROKER_INTERNAL_TLS_KEY",
        ),
        ({"INTERNAL_TLS_CA_FILE": "/not/there"}, "INTERNAL_TLS_CERTIFICATE_FILE: is missing"),
        (
            {"CALLER_CERTIFICATES": SPIFFE},
            "INTERNAL_TLS_CA_FILE: is missing: TOKEN_BROKER_CALLER_CERTIFICATES",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_by_its_name(changes, said):
    assert said in complaint(**changes)


def test_the_worker_looks_at_none_of_it():
    assert load_settings(environment(INTERNAL_TLS_KEY_FILE="/not/there"), role="work")


def test_what_has_no_effect_without_accounts_is_doubted():
    settings = load_settings(environment(SERVICE_ACCOUNT_ISSUER="https://issuer.example.com"))
    assert settings.warnings == (
        "TOKEN_BROKER_SERVICE_ACCOUNT_ISSUER is not used without TOKEN_BROKER_SERVICE_ACCOUNTS",
    )
