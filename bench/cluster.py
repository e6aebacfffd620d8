"""Whether one coordinator keeps up with thousands of agents, and whether two agents give twice what one does.

The thousands are simulated by one program, bench/agents: each is a real state machine with its own
subjects on a real broker, and reckons its arrivals instead of starting them. The coordinator is
`drumfire coordinator`, on a core of its own; broker and agents share the other. The two are real
agents, on a core each together with a target of its own, so that each core is a whole machine.
"""

import contextlib
import json
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import process
import result
import scripts
import server

MIB = 1 << 20
SERIES = 100
# What a summary's timeline takes at most before its intervals become longer.
TIMELINE_MIB = 256

# Agents, seconds, arrivals and requests to each endpoint of an agent in a second.
CROWDS = {
    "1,000": {"agents": 1_000, "seconds": 20, "arrivals": 10, "requests": 100},
    "1,000, longer": {"agents": 1_000, "seconds": 60, "arrivals": 10, "requests": 100},
    "10,000": {"agents": 10_000, "seconds": 60, "arrivals": 1, "requests": 10},
}
# Gathering and preparing thousands, and the last reports of them.
PATIENCE_S = 240
# The start of a run, and what is left of the load at its end, are not what it costs to keep up.
SETTLING_S = 3
LAG = re.compile(
    r"merged view was ([\d.]+) s behind \(p50; p99 ([\d.]+) s, longest ([\d.]+) s\); (\d+) of (\d+) reports"
)

CONNECTIONS = 100
LOOPS = 1_000_000_000
TWICE = 1.9
ARITHMETIC = """
import hashlib, sys, time
until_s, done, block = time.monotonic() + float(sys.argv[1]), 0, bytes(65536)
while time.monotonic() < until_s:
    hashlib.sha256(block).digest()
    done += 1
print(done)
"""
ARITHMETIC_S = 1
WARMING_S = 1
WINDOW_S = 4
TARGET_VARIABLE = "BENCH_TARGET"


def measure(report, options):
    """Both parts."""
    crowds(report, options)
    two_agents(report, options)


def crowds(report, options):
    """One coordinator and very many agents."""
    found = {name: crowd(options, **shape) for name, shape in CROWDS.items()}
    head = ["agents", "run s", "interval s", "reports", "cores", "MiB", "behind p50 s", "p99", "longest", "late", "answer p50 ms", "p99"]
    rows = [crowd_row(name, of_one) for name, of_one in found.items()]
    report.table(f"A coordinator of simulated agents with {SERIES} series each, on one core", head, rows)
    rest = [
        [name, f"{one['others_busy']:.2f}", f"{one['agents_busy']:.2f}", f"{one['broker_busy']:.2f}", f"{one['broker_rss'] / MIB:.0f}", f"{one['end_rss'] / MIB:.0f}"]
        for name, one in found.items()
    ]
    head = ["agents", "core of the simulation busy", "by the agents", "by the broker", "broker MiB", "coordinator MiB at its end"]
    report.table("Beside the coordinator: where that core is full, answers wait for the simulation", head, rest)
    many, longer, most = found.values()
    for name, one in found.items():
        report.goal(f"{name} agents: cores of the coordinator", one["cores"], 1)
        settled = one["started"] + one["dropped"]
        whole = one["planned"] == settled == one["started"]
        report.judged(f"{name} agents: started = planned", f"{one['started']:,}", f"{one['planned']:,}", whole)
    for one, name in ((many, "1,000"), (longer, "1,000, longer")):
        report.goal(f"{name} agents: merged view behind, p99", one["lag"]["p99"], 2, " s")
        report.goal(f"{name} agents: heartbeats answered, p99", one["answers"]["answer_us_p99"] / 1e3, 1_500, " ms")
    grown = (longer["run_rss"] - many["run_rss"]) / MIB
    more_s = longer["seconds"] - many["seconds"]
    report.goal(f"memory that {more_s} s more take: the timeline's", grown, TIMELINE_MIB, " MiB")
    report.figures["crowds"] = found


def crowd_row(name, found):
    lag, answers = found["lag"], found["answers"]
    return [
        name,
        found["seconds"],
        f"{found['interval_s']:.0f}",
        f"{answers['reports']:,}",
        f"{found['cores']:.2f}",
        f"{found['run_rss'] / MIB:.0f}",
        *(f"{lag[key]:.2f}" for key in ("p50", "p99", "longest")),
        lag["late"],
        *(f"{answers[key] / 1e3:.0f}" for key in ("answer_us_p50", "answer_us_p99")),
    ]


def crowd(options, agents, seconds, arrivals, requests):
    """One run of a coordinator with so many simulated agents."""
    planned = agents * seconds * arrivals
    with tempfile.TemporaryDirectory(prefix="drumfire-bench-") as name, server.Broker() as broker:
        folder = Path(name)
        path = scripts.write(folder, scripts.counted_load("http://127.0.0.1:9", planned, seconds))
        simulated = [options.agents_binary, "--nats", broker.url, "--agents", agents]
        simulated += ["--arrivals", planned, "--duration", seconds, "--series", SERIES, "--requests", requests]
        output = folder / "result.json"
        command = [options.drumfire, "coordinator", path, "--nats", broker.url, "--agents", agents]
        command += ["--gather-timeout", f"{PATIENCE_S}s", "--prepare-timeout", f"{PATIENCE_S}s", "--json", output, "--no-tui"]
        with Simulation(simulated) as simulation:
            watched = Watched(simulation.pid, broker.pid)
            usage = process.run(command, timeout_s=2 * PATIENCE_S + 2 * seconds, watch=watched.look)
            answers = simulation.answers()
        if not output.exists():
            raise SystemExit(f"the coordinator ended with {usage.status}: {usage.output[-2000:]}")
        file = result.read(output)
    begin_s = file["facts"]["started_at_us"] / 1e6
    during = watched.between(begin_s + SETTLING_S, begin_s + seconds)
    iterations = file["total"]["iterations"]
    return {
        "agents": agents,
        "seconds": seconds,
        "interval_s": seconds * agents / max(1, answers["reports"] - agents),
        "planned": file["facts"]["planned"],
        "started": iterations["started"],
        "dropped": sum(iterations.get("dropped", {}).values()),
        "lag": lag(usage.output),
        "answers": answers,
        "cores": during["coordinator"],
        "run_rss": during["rss"],
        "end_rss": usage.rss_bytes,
        "agents_busy": during["agents"],
        "broker_busy": during["broker"],
        "others_busy": during["agents"] + during["broker"],
        "broker_rss": during["broker_rss"],
    }


def lag(output):
    """What the coordinator says of its merged view."""
    found = LAG.search(output)
    if not found:
        raise SystemExit(f"the coordinator does not say how far behind it was: {output[-2000:]}")
    p50, p99, longest = (float(text) for text in found.groups()[:3])
    return {"p50": p50, "p99": p99, "longest": longest, "late": int(found[4]), "reports": int(found[5])}


class Simulation:
    """Simulated agents, waiting to be invited."""

    def __init__(self, command):
        self.output = tempfile.TemporaryFile()
        self.child = process.start(command, (process.SERVER_CORE,), output=self.output)
        self.pid = self.child.pid

    def answers(self):
        """What they saw, once their run is over."""
        self.child.wait(PATIENCE_S)
        self.output.seek(0)
        text = self.output.read().decode(errors="replace")
        lines = [line for line in text.splitlines() if line.startswith("{")]
        if not lines:
            raise SystemExit(f"the agents ended with {self.child.returncode}: {text[-2000:]}")
        return json.loads(lines[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        process.stop(self.child)
        self.output.close()


class Watched:
    """What three programs used, as it went."""

    def __init__(self, agents, broker):
        self.others = {"agents": agents, "broker": broker}
        self.looks = []

    def look(self, coordinator):
        pids = {"coordinator": coordinator, **self.others}
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            used = {name: process.cpu_s(pid) for name, pid in pids.items()}
            used["rss"], used["broker_rss"] = process.rss_bytes(coordinator), process.rss_bytes(self.others["broker"])
            self.looks.append((time.time(), used))

    def between(self, from_s, to_s):
        """Cores used, and most memory, from one instant to another."""
        looks = [look for look in self.looks if from_s <= look[0] <= to_s]
        if len(looks) < 2:
            raise SystemExit("the run was too short to be watched")
        (first_s, first), (last_s, last) = looks[0], looks[-1]
        cores = {name: (last[name] - first[name]) / (last_s - first_s) for name in ("coordinator", "agents", "broker")}
        return {**cores, **{name: max(used[name] for _, used in looks) for name in ("rss", "broker_rss")}}


def two_agents(report, options):
    """What one agent on a core gives, and two on two, by turns."""
    if process.SERVER_CORE == process.GENERATOR_CORE:
        report.judged("two agents beside one", "one core only", "≥ 1.9 ×", None)
        return
    pair = (process.SERVER_CORE, process.GENERATOR_CORE)
    ones, twos, ratios = [], [], []
    machine = [sums(pair) / statistics.mean(sums((core,)) for core in pair) for _ in range(options.rounds)]
    for _ in range(options.rounds):
        runs = [together(options, cores) for core in pair for cores in ((core,), pair)]
        alone, both = runs[0::2], runs[1::2]
        ones += alone
        twos += both
        one, two = (statistics.mean(run["rate"] for run in part) for part in (alone, both))
        ratios.append(two / one)
    rows = [two_agents_row("one agent, the other core idle", ones), two_agents_row("two agents", twos)]
    title = f"Requests a second of agents with {CONNECTIONS} connections each, a core for each with its target"
    report.table(title, ["", "median", "least", "most", "core used by both", "core idle"], rows)
    own = statistics.median(machine)
    report.note(f"Arithmetic alone goes {own:.2f} times as fast on two of this machine's cores as on one.")
    ratio = statistics.median(ratios)
    report.judged("two agents beside one", f"{ratio:.3g} ×", f"≥ {TWICE} ×", ratio >= TWICE)
    report.figures["two_agents"] = {"one": ones, "two": twos, "ratios": ratios, "machine": machine}


def two_agents_row(name, found):
    rates = [one["rate"] for one in found]
    figures = (statistics.median(rates), min(rates), max(rates))
    parts = (statistics.median(one[key] for one in found) for key in ("used", "idle"))
    return [name, *(f"{rate:,.0f}" for rate in figures), *(f"{part:.2f}" for part in parts)]


def sums(cores):
    """How much arithmetic these cores do at once."""
    command = [sys.executable, "-c", ARITHMETIC, ARITHMETIC_S]
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in cores]
        children = [process.start(command, (core,), output=output) for core, output in zip(cores, outputs)]
        for child in children:
            child.wait()
        for output in outputs:
            output.seek(0)
        return sum(int(output.read()) for output in outputs)


def together(options, cores):
    """The rate of one run with an agent and a target on each of these cores."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drumfire-bench-")))
        broker = stack.enter_context(server.Broker(cores=process.CORES))
        script = scripts.closed(f"{{{{ $env.{TARGET_VARIABLE} }}}}", CONNECTIONS * len(cores), LOOPS)
        path = scripts.write(folder, script)
        targets = [server.Target(options.drumfire, "--fast", cores=(core,)) for core in cores]
        for target in targets:
            stack.enter_context(target)
        agents = []
        for core, target in zip(cores, targets):
            command = [options.drumfire, "agent", "--nats", broker.url, "--agent-name", f"core-{core}", "--shards", "1"]
            agent = process.start(command, (core,), {TARGET_VARIABLE: target.url})
            stack.callback(process.kill, agent)
            agents.append(agent)
        command = [options.drumfire, "coordinator", path, "--nats", broker.url, "--agents", len(cores), "--quiet"]
        coordinator = process.start(command, process.CORES, {TARGET_VARIABLE: targets[0].url})
        stack.callback(process.kill, coordinator)
        wait_for_load(targets, coordinator)
        time.sleep(WARMING_S)
        before = reading(cores, targets, agents)
        time.sleep(WINDOW_S)
        after = reading(cores, targets, agents)
    seconds = [end["at_s"] - begin["at_s"] for begin, end in zip(before, after)]
    rates = [(end["requests"] - begin["requests"]) / s for begin, end, s in zip(before, after, seconds)]
    parts = {
        key: statistics.mean((end[key] - begin[key]) / s for begin, end, s in zip(before, after, seconds))
        for key in ("used", "idle")
    }
    return {"cores": list(cores), "rate": sum(rates), "rates": rates, **parts}


def wait_for_load(targets, coordinator):
    """Until each target has been asked something by its agent."""
    deadline_s = time.monotonic() + PATIENCE_S
    for target in targets:
        # Its own answers to this are counted too.
        while target.requests() < CONNECTIONS * 10:
            if coordinator.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"the coordinator ended with {coordinator.returncode}, or its agents send nothing")
            time.sleep(0.05)


def reading(cores, targets, agents):
    """What each target has counted, what both used of their core and what it was idle, each with its instant."""
    found = []
    for core, target, agent in zip(cores, targets, agents):
        requests = target.requests()
        used_s = target.cpu_s() + process.cpu_s(agent.pid)
        found.append({"at_s": time.monotonic(), "requests": requests, "used": used_s, "idle": process.idle_s(core)})
    return found
