"""The health check of the image: asks the process beside it, where there is no shell and no curl."""

import socket
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service import probe

SETTING = "TOKEN_BROKER_OBSERVE_ADDRESS"


@contextmanager
def answering(statuses, host="127.0.0.1"):
    """Serve these statuses by path; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(statuses.get(self.path, 404))
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()


@contextmanager
def listening(first_words=None):
    """Take one connection, say these words (nothing: keep silent); gives the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        talking = threading.Thread(target=_talk, args=(server, first_words))
        talking.start()
        yield server.getsockname()[1]
        talking.join()


def _talk(server, first_words):
    with server.accept()[0] as peer:
        if first_words:
            peer.sendall(first_words)
        peer.makefile("rb").read()


def ask(address, *options):
    return probe.main(options, {SETTING: address} if address else {})


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_a_process_that_answers_is_healthy(host, capsys):
    with answering({"/healthz": 200}) as port:
        assert ask(f"{host}:{port}") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("host", ["[::]", "[::1]"])
def test_one_that_listens_on_ipv6_is_asked_there(host):
    with answering({"/healthz": 200}, "::1") as port:
        assert ask(f"{host}:{port}") == 0


def test_a_draining_process_lives_but_is_not_ready(capsys):
    with answering({"/healthz": 200, "/readyz": 503}) as port:
        assert (ask(f"0.0.0.0:{port}"), ask(f"0.0.0.0:{port}", "--ready")) == (0, 1)
    assert capsys.readouterr().err == f"http://127.0.0.1:{port}/readyz answered 503\n"


def test_where_nobody_listens_it_says_so(capsys):
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert ask(f"0.0.0.0:{port}") == 1
    assert (
        capsys.readouterr().err == f"http://127.0.0.1:{port}/healthz cannot be reached: Connection refused\n"
    )


def test_one_that_hangs_is_given_up(capsys, monkeypatch):
    monkeypatch.setattr(probe, "WITHIN_S", 0.2)
    with listening() as port:
        assert ask(f"127.0.0.1:{port}") == 1
    assert f"http://127.0.0.1:{port}/healthz did not answer within" in capsys.readouterr().err


def test_one_that_speaks_something_else_is_not_ours(capsys):
    with listening(b"SSH-2.0-something\r\n\r\n") as port:
        assert ask(f"127.0.0.1:{port}") == 1
    assert capsys.readouterr().err.endswith("did not answer as HTTP (BadStatusLine)\n")


@pytest.mark.parametrize("address", ["9090", ":9090", "localhost", "localhost:http", "127.0.0.1:0"])
def test_an_address_that_cannot_be_asked_is_named_with_its_setting(address, capsys):
    assert ask(address) == 1
    assert capsys.readouterr().err.startswith(SETTING)


def test_without_the_setting_it_asks_where_the_broker_listens_by_default(capsys):
    from service.settings.model import Values

    assert probe._where(probe._DEFAULT)[1] == Values.model_fields["observe_address"].default.port


def test_it_needs_the_standard_library_alone():
    # -S: no site-packages at all.
    run = [sys.executable, "-S", "-m", "service.probe", "--help"]
    assert "healthz" in subprocess.run(run, capture_output=True, text=True, check=True).stdout
