"""A server that remembers every request byte for byte enough to compare two clients: method, path,
headers and body. It answers with JSON, sets a cookie, redirects or reports server timings by path."""

import http.server
import json
import re
import threading

# Headers that differ from run to run, with what their value is replaced by.
VOLATILE = {
    "traceparent": (r"^00-[0-9a-f]{32}-[0-9a-f]{16}-(0[01])$", r"00-TRACE-SPAN-\1"),
    "content-type": (r"boundary=.*$", "boundary=B"),
}
BOUNDARY = re.compile(rb"boundary=\"?([^\";]+)")


class Recorder:
    """A recording server on a free port of 127.0.0.1; use as a context."""

    def __init__(self):
        self.requests = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.recorder = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.body()
        host = self.headers.get("host", "")
        self.server.recorder.requests.append(self.record(body, host))
        path = self.path.split("?")[0]
        headers = {"content-type": "application/json", "x-request-id": "r-1"}
        status = 200
        if path == "/set":
            headers["set-cookie"] = "server=made; Path=/"
        elif path.startswith("/moved/"):
            status = int(path.rsplit("/", 1)[1])
            headers["location"] = "/landed?from=moved"
        elif path == "/timed":
            headers["server-timing"] = "db;dur=53.2, total;dur=7.5"
        self.send(status, headers, json.dumps({"path": path, "token": "t-1", "ids": [1, 2, 3]}).encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_TRACE = answer

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length", "0")))

    def record(self, body, host):
        """The request with what differs by nature replaced: port, boundary, trace."""
        boundary = BOUNDARY.search(self.headers.get("content-type", "").encode())
        headers = []
        for name, value in self.headers.items():
            pattern, replacement = VOLATILE.get(name.lower(), (None, None))
            if boundary and name.lower() == "content-length":
                value = str(int(value) - body.count(boundary[1]) * len(boundary[1]))
            if pattern:
                value = re.sub(pattern, replacement, value)
            headers.append(f"{name}: {value.replace(host, 'HOST') if host else value}")
        if boundary:
            body = body.replace(boundary[1], b"B")
        line = f"{self.command} {self.path}"
        return {"line": line, "headers": sorted(headers), "body": body.decode("utf-8", "replace")}

    def send(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing: what was seen is compared later."""
