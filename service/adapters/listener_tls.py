"""TLS of a listener: its certificate, its key and its callers' authorities, read again when a file changes.

Each connection begins with what the files held last that can be used; those that are open go on as they
began. Handshakes that fail are noted by OpenSSL's own words for why, which quote nothing that was sent.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cryptography import x509

from service.adapters.files import State, state_of

if TYPE_CHECKING:
    from service.broker.ports import Observer

SETTING = "TOKEN_BROKER_INTERNAL_TLS_{}_FILE"
"""Which setting names the file of a part."""
Part = Literal["certificate", "key", "ca"]
LARGEST_FILE = 1024 * 1024


class TlsUnusableError(ValueError):
    """A file that no TLS can be made of: which one it is, and why."""

    def __init__(self, part: Part, why: str) -> None:
        """Keep the part whose file is wrong."""
        super().__init__(why)
        self.part = part


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the PEM files lie; with `ca` nobody connects without a certificate by one of its authorities."""

    certificate: Path
    key: Path
    ca: Path | None = None


class ListenerTls:
    """A listener's TLS; `context` is what its server is given, for as long as it lives."""

    def __init__(self, files: TlsFiles, observer: Observer) -> None:
        """Read the files; TlsUnusableError when they cannot be used."""
        self._files, self._observer = files, observer
        self._seen = _signatures(files)
        self.context = _Renewed(ssl.PROTOCOL_TLS_SERVER)
        self._load()

    async def look(self) -> None:
        """Read the files again if one changed; what cannot be used is told of once and changes nothing."""
        # The signatures are taken before the files: those replaced in between are simply read once more.
        seen = _signatures(self._files)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._load()
        except TlsUnusableError as wrong:
            self._observer.note("secret.kept", name=SETTING.format(wrong.part.upper()), reason=str(wrong))

    def _load(self) -> None:
        current, ends_at = load(self._files)
        current.sslobject_class = _noting(self._observer)
        self.context.current = current
        self._observer.note(
            "certificate.loaded", ends_at=ends_at.isoformat(), mutual=self._files.ca is not None
        )


class _Renewed(ssl.SSLContext):
    """Stands for another context, which may be replaced by a newer one between two connections.

    A context of OpenSSL's can take a new certificate, but cannot give up an authority that it has once had.
    """

    current: ssl.SSLContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection, as the event loops do."""
        return self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def _noting(observer: Observer) -> type[ssl.SSLObject]:
    class Noting(ssl.SSLObject):
        """A connection that tells why it did not come about."""

        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as refused:
                why = getattr(refused, "verify_message", "")
                observer.note("handshake.refused", reason=refused.reason or type(refused).__name__, why=why)
                raise

    return Noting


def load(files: TlsFiles) -> tuple[ssl.SSLContext, datetime]:
    """Return a context of what the files hold now, and when its certificate ends.

    TlsUnusableError says which file cannot be used, and why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A resumed connection is not asked for its certificate again. TLS 1.2 still resumes by an id that this
    # context remembers: an authority that was taken away takes the context along, and a certificate's end is
    # looked at with each request.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    ends_at = _ends_at(_read_pem("certificate", files.certificate, b"CERTIFICATE"))
    _read_pem("key", files.key, b"PRIVATE KEY")
    try:
        # An empty password, or who has an encrypted key would be asked for one at a terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except (ssl.SSLError, ValueError) as wrong:
        raise _unfit(wrong) from None
    except OSError as wrong:
        raise TlsUnusableError("certificate", f"cannot be read ({wrong.strerror})") from None
    if files.ca is not None:
        _trust(context, files.ca)
    return context, ends_at


def _ends_at(certificate: bytes) -> datetime:
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        raise TlsUnusableError("certificate", "holds no certificate that can be read") from None


def _unfit(wrong: Exception) -> TlsUnusableError:
    reason = getattr(wrong, "reason", "")
    if reason == "KEY_VALUES_MISMATCH":
        return TlsUnusableError("key", "is not the private key of the certificate")
    if reason in {"EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"}:
        return TlsUnusableError("certificate", "has a key or signature that is too weak")
    return TlsUnusableError("key", "cannot be used with its certificate: a private key in PEM, not encrypted")


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    _read_pem("ca", authorities, b"CERTIFICATE")
    context.verify_mode = ssl.CERT_REQUIRED
    # Whoever stands in the file is believed, also one between a root and the callers.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=authorities)
    except OSError:  # what OpenSSL raises is one, too
        raise TlsUnusableError("ca", "holds no certificate that can be read") from None


def _read_pem(part: Part, path: Path, what: bytes) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE)
    except OSError as wrong:
        raise TlsUnusableError(part, f"cannot be read ({wrong.strerror})") from None
    if what + b"-----" not in text:
        raise TlsUnusableError(part, f"holds no {what.decode().lower()} in PEM")
    return text


def _signatures(files: TlsFiles) -> list[State]:
    return [state_of(path) for path in (files.certificate, files.key, files.ca) if path is not None]
