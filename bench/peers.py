"""The tools beside each other: what each is told to do, and what it says it has done.

Every tool sends keep-alive GETs of one URL over N connections. Those that take a count are given
one that keeps them busy about as long as those that take a time.
"""

import json
import re
from dataclasses import dataclass
from typing import Callable

import install
import scripts

QUIET = {"ARTILLERY_DISABLE_TELEMETRY": "true", "K6_NO_USAGE_REPORT": "true"}
# Opening a connection shall weigh little beside what is sent over it.
LEAST_LOOPS = 200
SLOW = 20_000  # requests per second of CPU


@dataclass
class Tool:
    """A tool and its door: `command(job)` to start it, `requests(output, job)` for its own count."""

    name: str
    rate: int  # requests per second of its CPU at 100 connections, to size a run
    needs: str
    command: Callable
    requests: Callable
    most_connections: int = 1_000
    environment: dict | None = None

    @property
    def longer(self):
        """How much longer it runs than others: a slow tool is slow to start, which shall not count."""
        return 2 if self.rate < SLOW else 1

    def count(self, job):
        """How many requests keep it busy for `job.seconds`; one connection is the network's pace."""
        rate = self.rate if job.connections > 1 else min(self.rate, 20_000)
        loops = int(rate * job.seconds * self.longer) // job.connections
        return max(LEAST_LOOPS, loops) * job.connections


@dataclass
class Job:
    """One measured run."""

    url: str
    connections: int
    seconds: float
    folder: object  # a scratch folder of its own
    drumfire: str
    rows: object = None


def found(pattern):
    """A reader of the first number that a pattern finds."""

    def read(output, _job):
        match = re.search(pattern, output)
        return int(match[1]) if match else None

    return read


def artillery_requests(_output, job):
    report = json.loads((job.folder / "report.json").read_text())
    return report["aggregate"]["counters"].get("http.requests", 0)


def script_loops(tool_rate, job):
    tool = Tool("", tool_rate, "", None, None)
    return tool.count(job) // job.connections


def drumfire_run(make, rate):
    """The command for a script made by `make(job, loops)`."""

    def command(job):
        script = scripts.write(job.folder, make(job, script_loops(rate, job)))
        return scripts.drumfire(job.drumfire, script, "--output", job.folder / "report.json")

    return command


def artillery_command(job):
    script = scripts.write(
        job.folder, scripts.closed(job.url, job.connections, script_loops(2_000, job), within_s=1)
    )
    run = [install.find("node"), install.find("artillery"), "run", "--quiet"]
    return [*run, "--output", job.folder / "report.json", script]


def k6_command(job):
    path = job.folder / "script.js"
    path.write_text(
        'import http from "k6/http";\n'
        "export const options = {discardResponseBodies: true, scenarios: {all: {\n"
        '  executor: "shared-iterations", maxDuration: "10m",\n'
        f"  vus: {job.connections}, iterations: {TOOLS['k6'].count(job)}}}}}}};\n"
        f'export default function () {{ http.get("{job.url}/"); }}\n'
    )
    summary = job.folder / "summary.json"
    return [install.find("k6"), "run", "--quiet", "--summary-export", summary, path]


def k6_requests(_output, job):
    return json.loads((job.folder / "summary.json").read_text())["metrics"]["http_reqs"]["count"]


def locust_command(user):
    def command(job):
        path = job.folder / "locustfile.py"
        path.write_text(
            f"from locust import {user}, task\n"
            f"class User({user}):\n"
            "    @task\n"
            "    def get(self):\n"
            '        self.client.get("/")\n'
        )
        users = str(job.connections)
        seconds = f"{round(max(3, job.seconds * 2))}s"
        load = ["-u", users, "-r", users, "-t", seconds, "-H", job.url]
        return [install.find("locust"), "-f", path, "--headless", "--json", "--skip-log", *load]

    return command


def locust_requests(output, _job):
    start = output.find("[\n")
    if start < 0:
        return None
    entries, _ = json.JSONDecoder().raw_decode(output[start:])
    return sum(entry["num_requests"] for entry in entries)


def oha_requests(output, _job):
    report = json.loads(output[output.find("{") :])
    return sum(report["statusCodeDistribution"].values())


def wrk(job):
    # As long as the others need for their least number of requests.
    seconds = max(1, job.seconds, LEAST_LOOPS * job.connections / TOOLS["wrk"].rate)
    connections = ["-c", job.connections, "-d", f"{round(seconds)}s"]
    return [install.find("wrk"), "-t", 1, *connections, job.url + "/"]


def h2load(*options):
    def command(job):
        tool = TOOLS["h2load --h1"]
        load = ["-t", 1, "-c", job.connections, "-n", tool.count(job)]
        return [install.find("h2load"), *options, *load, job.url + "/"]

    return command


def oha(job):
    load = ["-n", TOOLS["oha"].count(job), "-c", job.connections]
    return [install.find("oha"), "--no-tui", "--output-format", "json", *load, job.url + "/"]


def hey(job):
    load = ["-n", TOOLS["hey"].count(job), "-c", job.connections]
    return [install.find("hey"), "-cpus", 1, *load, job.url + "/"]


def quick(*options):
    def command(job):
        tool = TOOLS["drumfire quick"]
        load = ["-n", tool.count(job), "-c", job.connections, "--shards", 1]
        report = ["--quiet", "--output", job.folder / "report.json"]
        return [job.drumfire, "quick", *options, *load, *report, job.url + "/"]

    return command


def plain(job, loops):
    return scripts.closed(job.url, job.connections, loops)


def with_script(job, loops):
    return scripts.scripted(job.url, job.connections, loops, job.rows)


def secure(http2):
    def make(job, loops):
        return scripts.closed(job.url, job.connections, loops, insecure=True, http2=http2)

    return make


DONE = found(r"status codes: (\d+) 2xx")
ALL = [
    Tool("wrk", 130_000, "wrk", wrk, found(r"(\d+) requests in"), most_connections=10_000),
    Tool("h2load --h1", 110_000, "h2load", h2load("--h1"), DONE),
    Tool("oha", 90_000, "oha", oha, oha_requests),
    Tool("hey", 30_000, "hey", hey, found(r"\[200\]\s+(\d+) responses")),
    Tool("k6", 15_000, "k6", k6_command, k6_requests, environment=QUIET),
    Tool("locust Fast", 8_000, "locust", locust_command("FastHttpUser"), locust_requests),
    Tool("locust Http", 2_000, "locust", locust_command("HttpUser"), locust_requests),
    Tool(
        "artillery", 2_000, "artillery", artillery_command, artillery_requests, environment=QUIET
    ),
    Tool(
        "drumfire run",
        130_000,
        "drumfire",
        drumfire_run(plain, 130_000),
        artillery_requests,
        most_connections=10_000,
    ),
    Tool("drumfire quick", 130_000, "drumfire", quick(), artillery_requests, 10_000),
    Tool(
        "drumfire script",
        110_000,
        "drumfire",
        drumfire_run(with_script, 110_000),
        artillery_requests,
    ),
    Tool("h2load https", 110_000, "h2load", h2load("--h1"), DONE),
    Tool("drumfire https", 110_000, "drumfire", drumfire_run(secure(False), 110_000), artillery_requests),
    Tool("h2load h2", 110_000, "h2load", h2load(), DONE),
    Tool("drumfire h2", 110_000, "drumfire", drumfire_run(secure(True), 110_000), artillery_requests),
]
TOOLS = {tool.name: tool for tool in ALL}
PLAIN = [name for name in TOOLS if not name.endswith(("https", "h2"))]
SECURE = [name for name in TOOLS if name.endswith(("https", "h2"))]
