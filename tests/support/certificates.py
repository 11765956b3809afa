"""Certificates for tests: an authority, what it signs, and the three files of a listener.

authority = Authority()
authority.write(folder, authority.issue("DNS:broker.test", "IP:127.0.0.1"))
"""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = {
    "DNS": x509.DNSName,
    "URI": x509.UniformResourceIdentifier,
    "IP": lambda text: x509.IPAddress(ipaddress.ip_address(text)),
    "MAIL": x509.RFC822Name,
}
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates; its own is `certificate`."""

    def __init__(self, name="authority"):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key.public_key(), timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(PEM)

    def issue(self, *names, lasts=timedelta(hours=1), usages=BOTH, subject="leaf"):
        """Sign a certificate with these alternative names, such as `DNS:broker.test`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        found = [KINDS[kind](text) for kind, _, text in (name.partition(":") for name in names)]
        builder = _builder(subject, self._name, key.public_key(), lasts)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if found:
            builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=False)
        return Issued(builder.sign(self._key, hashes.SHA256()).public_bytes(PEM), private_pem(key))

    def client(self, *names, shows=True, folder, **how):
        """What a caller connects with: it believes this authority, and shows a certificate of its own."""
        context = ssl.create_default_context(cadata=self.certificate.decode())
        if shows:
            self.shown(context, folder, self.issue(*names, **how))
        return context

    def shown(self, context, folder, issued):
        """Have a caller show this certificate, whoever issued it."""
        path = folder / f"caller-{len(list(folder.iterdir()))}.pem"
        path.write_bytes(issued.certificate + issued.key)
        context.load_cert_chain(path)


def private_pem(key, password=None):
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, how)


def _builder(subject, issuer, public_key, lasts):
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + lasts)
    )


class Mount:
    """A folder of tls.crt, tls.key and ca.crt that is replaced as Kubernetes does: all at once, by a link."""

    def __init__(self, folder):
        self.folder = folder
        self._written = 0

    def __getitem__(self, name):
        return self.folder / "data" / name

    def put(self, issued, ca=None):
        """Put these in place of what is there."""
        self._written += 1
        fresh = self.folder / f"data-{self._written}"
        fresh.mkdir()
        files = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": ca}
        for name, content in files.items():
            if content is not None:
                (fresh / name).write_bytes(content)
        link = self.folder / "data-link"
        link.symlink_to(fresh.name)
        link.replace(self.folder / "data")

    def settings(self, **more):
        """The settings that name these files."""
        files = {"CERTIFICATE": "tls.crt", "KEY": "tls.key", "CA": "ca.crt"}
        named = {part: name for part, name in files.items() if self[name].exists()}
        return {f"INTERNAL_TLS_{part}_FILE": str(self[name]) for part, name in named.items()} | more
