"""A target that notes of every request when it came, from which address, and which arrival of the schedule it was."""

import selectors
import socket
import threading
import time
from dataclasses import dataclass

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
FAILED = b"HTTP/1.1 500 Failed\r\ncontent-length: 0\r\n\r\n"
POLL_S = 0.05


@dataclass
class Request:
    """One that came whole, by this process's monotonic clock."""

    at_ns: int
    source: str
    arrival: int
    failed: bool


class Recorder:
    """Listens on a thread of its own; `fail_from` is the arrival from which on all are answered with 500."""

    def __init__(self, fail_from=None):
        self.requests, self.fail_from, self.failing = [], fail_from, False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.selector, self.ended = selectors.DefaultSelector(), False
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        while not self.ended:
            for key, _ in self.selector.select(POLL_S):
                at_ns = time.monotonic_ns()
                if key.data is None:
                    stream, address = self.listener.accept()
                    self.selector.register(stream, selectors.EVENT_READ, (address[0], bytearray()))
                else:
                    self.read(key.fileobj, *key.data, at_ns)

    def read(self, stream, source, kept, at_ns):
        try:
            came = stream.recv(1 << 16)
        except OSError:
            came = b""
        if not came:
            self.selector.unregister(stream)
            return stream.close()
        kept += came
        while (end := kept.find(b"\r\n\r\n")) >= 0:
            arrival = int(kept.split(b" ", 2)[1].lstrip(b"/"))
            del kept[: end + 4]
            self.failing |= self.fail_from is not None and arrival >= self.fail_from
            self.requests.append(Request(at_ns, source, arrival, self.failing))
            stream.sendall(FAILED if self.failing else OK)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
