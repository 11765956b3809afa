"""Files of callers' keys and certificates that cannot be used: told in words before anything is served."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.callers import require_usable
from service.settings import ConfigurationError, load_settings
from tests.support.account_tokens import ISSUER
from tests.support.certificates import Authority, Mount, private_pem
from tests.support.environment import environment

AUTHORITY = Authority()
GOOD = AUTHORITY.issue("IP:127.0.0.1")
OTHER = AUTHORITY.issue("IP:127.0.0.1")
LOCKED = private_pem(ec.generate_private_key(ec.SECP256R1()), b"password")
SPOILT = {
    "tls.crt": {b"": "CERTIFICATE_FILE: names a file that holds no certificate in PEM",
                b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n":
                "CERTIFICATE_FILE: names a file that holds no certificate that can be read"},
    "tls.key": {b"": "KEY_FILE: names a file that holds no private key in PEM",
                OTHER.key: "KEY_FILE: names a file that is not the private key of the certificate",
                LOCKED: "KEY_FILE: names a file that cannot be used with its certificate: a private"},
    "ca.crt": {b"": "CA_FILE: names a file that holds no certificate in PEM",
               b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n":
               "CA_FILE: names a file that holds no certificate that can be read"},
}  # fmt: skip


@pytest.fixture
def mount(tmp_path):
    mounted = Mount(tmp_path)
    mounted.put(GOOD, AUTHORITY.certificate)
    return mounted


def complaint(**settings):
    with pytest.raises(ConfigurationError) as refused:
        require_usable(load_settings(environment(**settings)))
    return str(refused.value)


def test_files_that_can_be_used_are_taken(mount):
    require_usable(load_settings(environment(**mount.settings())))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [(name, content, said) for name, several in SPOILT.items() for content, said in several.items()],
)
def test_a_file_that_cannot_be_used_is_told_by_the_setting_that_names_it(mount, name, content, said):
    mount[name].write_bytes(content)
    assert complaint(**mount.settings()).startswith(f"TOKEN_BROKER_INTERNAL_TLS_{said}")


@pytest.mark.parametrize("content", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AAAA"}]}'])
def test_a_file_of_keys_that_cannot_be_used_is_told(tmp_path, content):
    path = tmp_path / "jwks.json"
    path.write_text(content)
    settings = {"SERVICE_ACCOUNTS": "shop/backend", "SERVICE_ACCOUNT_ISSUER": ISSUER}
    said = complaint(SERVICE_ACCOUNT_JWKS=str(path), **settings)
    assert said.startswith("TOKEN_BROKER_SERVICE_ACCOUNT_JWKS: names a file that cannot be used")
