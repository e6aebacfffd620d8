"""How evenly arrivals are spread, as the server sees them, and how late the generator says it was."""

import json
import tempfile
from pathlib import Path

import install
import process
import result
import scripts
import server

RATE = 2_000
SECONDS = 10
FAST_RATE = 20_000
FAST_SECONDS = 5
POOL = 20


def measure(report, options):
    """Drumfire beside the peers at 2,000 a second, then Drumfire alone at 20,000."""
    rows = []
    for name, command in contenders(options):
        found = [once(command, options) for _ in range(options.rounds)]
        gaps = middle_of(found)
        report.figures[name] = found
        rows.append(
            [
                name,
                f"{gaps['rate']:.0f}",
                f"{gaps['p50']:.0f}",
                f"{gaps['p99']:.0f}",
                f"{gaps['max']:.0f}",
                f"{gaps['below_50us']:.1%}",
                f"{gaps['cpu_s']:.2f}",
            ]
        )
        if name.startswith("drumfire"):
            report.goal(f"{name}: median gap", gaps["p50"], 550, " µs", least=450)
            report.goal(f"{name}: gaps below 50 µs", gaps["below_50us"] * 100, 3, " %")
    head = ["tool", "rate", "gap p50 µs", "p99", "max", "below 50 µs", "CPU-s per 100 k"]
    title = f"{RATE:,} arrivals a second for {SECONDS} s, seen by the server (even: 500 µs)"
    report.table(title, head, rows)
    lateness(report, options)


def contenders(options):
    """Name and command maker of those that can pace."""
    url_script = {
        "drumfire run": scripts.open_load("{url}", RATE, SECONDS),
        "drumfire run, pool": scripts.open_load("{url}", RATE, SECONDS, POOL),
    }

    def drumfire(script):
        def command(url, folder):
            config = {**script["config"], "target": url}
            path = scripts.write(folder, {**script, "config": config})
            return scripts.drumfire(options.drumfire, path)

        return command

    def quick(url, _folder):
        load = ["-q", RATE, "-z", f"{SECONDS}s", "-c", POOL, "--shards", 1, "--quiet"]
        return [options.drumfire, "quick", *load, url + "/"]

    for name, script in url_script.items():
        yield name, drumfire(script)
    yield "drumfire quick", quick
    if install.find("oha"):
        yield "oha -q --latency-correction", oha
    if install.find("k6"):
        yield "k6 constant-arrival-rate", k6


def oha(url, _folder):
    load = ["-q", RATE, "-z", f"{SECONDS}s", "-c", POOL, "--latency-correction"]
    return [install.find("oha"), "--no-tui", *load, url + "/"]


def k6(url, folder):
    path = folder / "script.js"
    path.write_text(
        'import http from "k6/http";\n'
        "export const options = {discardResponseBodies: true, scenarios: {all: {\n"
        f'  executor: "constant-arrival-rate", rate: {RATE}, timeUnit: "1s",\n'
        f'  duration: "{SECONDS}s", preAllocatedVUs: 200}}}}}};\n'
        f'export default function () {{ http.get("{url}/"); }}\n'
    )
    return [install.find("k6"), "run", "--quiet", "--no-usage-report", path]


def once(command, options):
    """One run and what the server saw of it."""
    with tempfile.TemporaryDirectory(prefix="drumfire-bench-") as name:
        with server.Target(options.drumfire, "--fast") as target:
            target.reset()
            usage = process.run(command(target.url, Path(name)))
            stats = target.stats()
    if usage.status != 0 or not stats["gaps_us"]:
        raise SystemExit(f"status {usage.status}: {usage.output[-2000:]}")
    per = 1e5 / stats["requests"]
    rate = 1e6 / stats["gaps_us"]["mean"]
    return {**stats["gaps_us"], "rate": rate, "cpu_s": usage.cpu_s * per}


def middle_of(found):
    """The run whose median gap is in the middle."""
    return sorted(found, key=lambda gaps: gaps["p50"])[len(found) // 2]


def lateness(report, options):
    """Drumfire's own lateness at 20,000 arrivals a second on one core."""
    files = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="drumfire-bench-") as name:
            folder = Path(name)
            with server.Target(options.drumfire, "--fast") as target:
                script = scripts.open_load(target.url, FAST_RATE, FAST_SECONDS, 100)
                path = scripts.write(folder, script)
                output = folder / "result.json"
                usage = process.run(
                    scripts.drumfire(options.drumfire, path, "--json", output)
                )
            if usage.status != 0:
                raise SystemExit(f"drumfire ended with {usage.status}: {usage.output[-2000:]}")
            file = result.read(output)
        late = result.Histogram(file["total"]["iterations"]["lateness_us"])
        started = file["total"]["iterations"]["started"]
        files.append((late.quantile(0.99), late.quantile(0.5), started, usage.cpu_s))
    p99, p50, started, cpu_s = sorted(files)[len(files) // 2]
    report.table(
        f"{FAST_RATE:,} arrivals a second for {FAST_SECONDS} s on one core",
        ["", "measured"],
        [
            ["started", f"{started:,}"],
            ["lateness p50, µs", f"{p50:.0f}"],
            ["lateness p99, µs", f"{p99:.0f}"],
            ["p99 of each round", json.dumps([round(one[0]) for one in files])],
            ["generator CPU, s", f"{cpu_s:.2f}"],
        ],
    )
    report.goal(f"own lateness p99 at {FAST_RATE:,} a second", p99, 200, " µs")
    report.figures["lateness_us"] = files
