"""The servers that the load goes to, pinned to a core of their own, and what they counted."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import process

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
import tools  # noqa: E402

READY_S = 10


class Target:
    """`drumfire target`, with the options given."""

    def __init__(self, drumfire, *options, cores=(process.SERVER_CORE,)):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        listen = f"127.0.0.1:{self.port}"
        self.child = process.start([drumfire, "target", "--listen", listen, *options], cores)
        wait_for(self.port, self.child)

    def reset(self):
        self.ask("/stats/reset")

    def stats(self):
        """Everything it counted since the last reset."""
        return self.ask("/stats")

    def requests(self):
        return self.stats()["requests"]

    def cpu_s(self):
        return process.cpu_s(self.child.pid)

    def ask(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        process.stop(self.child)


# Where there is one, a folder in memory: a disk that others use would be measured too.
MEMORY = "/dev/shm"


class Broker:
    """A nats-server with JetStream, for a cluster on this host."""

    def __init__(self, cores=(process.SERVER_CORE,)):
        place = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.folder = tempfile.TemporaryDirectory(prefix="drumfire-bench-", dir=place)
        port = free_port()
        self.url = f"nats://127.0.0.1:{port}"
        command = [nats_server(), "--jetstream", "--store_dir", self.folder.name]
        self.child = process.start([*command, "--addr", "127.0.0.1", "--port", port], cores)
        self.pid = self.child.pid
        wait_for(port, self.child)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        process.stop(self.child)
        self.folder.cleanup()


def nats_server():
    """The one that is named, or the one that the tests install."""
    return os.environ.get("DRUMFIRE_NATS_SERVER") or tools.nats_server()


class Nginx:
    """nginx with one worker, HTTPS and HTTP/2: the TLS peer for clients, cheap and not our own."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="drumfire-bench-")
        folder = Path(self.folder.name)
        self.port, self.plain_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        certificate(folder)
        (folder / "nginx.conf").write_text(self.configuration(folder))
        command = ["nginx", "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]
        self.child = process.start(command, (process.SERVER_CORE,))
        wait_for(self.port, self.child)
        self.before = 0

    @staticmethod
    def missing():
        """The programs without which it cannot run."""
        return [name for name in ("nginx", "openssl") if not shutil.which(name)]

    def configuration(self, folder):
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return f"""
            daemon off; worker_processes 1; worker_rlimit_nofile 19000; pid {folder}/pid;
            error_log stderr crit;
            events {{ worker_connections 18000; multi_accept on; }}
            http {{
                {paths}
                access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;
                default_type application/json; server_tokens off; ssl_session_tickets on;
                server {{
                    listen 127.0.0.1:{self.port} ssl http2 backlog=4096;
                    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
                    location / {{ return 200 '{{"ok":true,"pad":"xxxxxxx"}}'; }}
                }}
                server {{
                    listen 127.0.0.1:{self.plain_port};
                    location /status {{ stub_status; }}
                }}
            }}"""

    def reset(self):
        self.before = self.counted() + 1

    def requests(self):
        return self.counted() - self.before

    def counted(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.plain_port}/status") as answer:
            text = answer.read().decode()
        return int(re.search(r"\n\s*\d+ \d+ (\d+)", text)[1]) - 1

    def cpu_s(self):
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return sum(process.cpu_s(int(pid)) for pid in children.split())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        process.stop(self.child)
        self.folder.cleanup()


def certificate(folder):
    """A self-made certificate for this run."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", folder / "key.pem"]
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", folder / "cert.pem"],
        check=True,
        capture_output=True,
    )


def free_port():
    """A port that nobody listens on now, below those given to outgoing connections where possible."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, child):
    """Waits until somebody listens."""
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        if child.poll() is not None:
            raise RuntimeError(f"the server ended with status {child.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"no server on port {port} after {READY_S} s")
