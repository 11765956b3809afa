"""A server that gives one prepared answer to every request, whatever it is: the generator is tried on it."""

import socketserver
import threading
from contextlib import contextmanager


def answer(body, status="200 OK", *headers):
    """One answer with a length."""
    head = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(body)}", *headers))
    return f"HTTP/1.1 {status}\r\n{head}\r\n{body}".encode()


def chunked(*parts):
    """One answer in chunks."""
    chunks = "".join(f"{len(part):x}\r\n{part}\r\n" for part in (*parts, ""))
    return f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}".encode()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads, request_queue_size, allow_reuse_address = True, 256, True

    def handle_error(self, request, client_address):
        """Say nothing: a generator that has seen enough just leaves."""


@contextmanager
def serving(*pieces, then_ends=False):
    """Answer every request with these pieces of bytes, one after another; gives the port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                for piece in pieces:
                    self.request.sendall(piece)
                if then_ends:
                    return

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
