#!/usr/bin/env python3
"""Proves what is absent: the "may know" table of ARCHITECTURE.md as data, held against `cargo metadata`,
`cargo tree` and the sources. Prints one line per proof and closes with `N passed, N failed`.
"""

import functools
import json
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Which of our crates each crate may know. Nothing depends on drumfire-cli.
MAY_KNOW = {
    "drumfire-plan": set(),
    "drumfire-metrics": set(),
    "drumfire-reactor": set(),
    "drumfire-engine": {"drumfire-plan", "drumfire-metrics", "drumfire-reactor"},
    "drumfire-protocols": {"drumfire-metrics", "drumfire-reactor"},
    "drumfire-artillery": {
        "drumfire-plan",
        "drumfire-metrics",
        "drumfire-reactor",
        "drumfire-engine",
        "drumfire-protocols",
    },
    "drumfire-cluster": {"drumfire-plan", "drumfire-metrics", "drumfire-reactor", "drumfire-engine"},
    "drumfire-report": {"drumfire-metrics"},
    "drumfire-outputs": set(),
    "drumfire-target": set(),
    "drumfire-cli": {
        "drumfire-plan",
        "drumfire-metrics",
        "drumfire-reactor",
        "drumfire-engine",
        "drumfire-protocols",
        "drumfire-artillery",
        "drumfire-cluster",
        "drumfire-report",
        "drumfire-outputs",
        "drumfire-target",
    },
    # It stands for agents in `make bench-cluster`, and is not shipped.
    "drumfire-bench-agents": {"drumfire-plan", "drumfire-metrics", "drumfire-reactor", "drumfire-cluster"},
}

# What tests alone may know beside that: something to aim at.
TESTS_MAY_KNOW = {"drumfire-target"}

# Crates that compute and do nothing else: no event loop, no sockets, no source of chance.
PURE = ["drumfire-plan", "drumfire-metrics", "drumfire-report"]
ABSENT_FROM_PURE = {
    "tokio", "mio", "polling", "async-io", "futures-executor", "hyper", "h2", "rustls", "socket2", "rand", "rand_core",
    "rand_xoshiro", "fastrand",
}  # fmt: skip

# What the sources of pure crates never name: clock, disk, network, threads, the process.
ABSENT_FROM_PURE_SOURCES = [
    "std::fs", "std::net", "std::thread", "std::process", "std::env", "Instant::now", "SystemTime::now",
]  # fmt: skip

# The cluster's hosts and transports: its other sources are as pure as those crates, and name no event loop.
EFFECTS = ["host.rs", "host", "memory.rs", "nats.rs", "nats"]
ABSENT_FROM_MACHINES = [*ABSENT_FROM_PURE_SOURCES, "tokio", "async_nats"]

# What nothing that is shipped may bring: a second TLS library, a second HTTP client, unmaintained YAML.
ABSENT_EVERYWHERE = {
    "openssl", "openssl-sys", "native-tls", "ring", "reqwest", "serde_yaml", "zstd-sys", "lz4-sys", "async-std",
}  # fmt: skip

# Dependencies that only some crates may name: a heavy one is quarantined, the rest keep a rule.
ONLY_IN = {
    "async-nats": {"drumfire-cluster"},
    "anyhow": {"drumfire-cli"},
    "clap": {"drumfire-cli", "drumfire-target", "drumfire-bench-agents"},
    "crossterm": {"drumfire-cli"},
    "mimalloc": {"drumfire-cli", "drumfire-bench-agents"},
    "ratatui": {"drumfire-cli", "drumfire-report"},
    "serde": {"drumfire-artillery", "drumfire-cluster", "drumfire-report", "drumfire-cli"},
    "granit-parser": {"drumfire-artillery"},
    "jsonpath-rust": {"drumfire-artillery"},
    "scraper": {"drumfire-artillery"},
    "sxd-xpath": {"drumfire-artillery"},
    "regress": {"drumfire-artillery"},
    "fake": {"drumfire-artillery"},
    "httparse": {"drumfire-protocols"},
    "h2": {"drumfire-protocols"},
    "hickory-resolver": {"drumfire-protocols"},
    "tokio-rustls": {"drumfire-protocols", "drumfire-target"},
    "hyper": {"drumfire-target"},
    "hyper-rustls": {"drumfire-outputs"},
    "object_store": {"drumfire-outputs"},
}

# Packages whose library is called otherwise.
LIBRARY_NAMES = {"rustls-webpki": "webpki"}

# Names that say nothing about what is in a module, and ways that hide what is tested or read.
BANNED_NAMES = {"common", "core", "util", "utils", "helper", "helpers", "types", "misc"}
BANNED_IN_SOURCES = {
    r"#\[ignore": "a test that nobody runs",
    r"serde\(untagged\)": "a border type whose errors say nothing",
    r"\btodo!\(|\bunimplemented!\(": "something left to do",
}

Proof = tuple[str, list[str]]


def main() -> int:
    failed = passed = 0
    for claim, objections in proofs():
        print(f"{'FAIL' if objections else 'ok'}: {claim}")
        for objection in objections:
            print(f"  {objection}")
        failed += bool(objections)
        passed += not objections
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def proofs() -> Iterator[Proof]:
    """Every claim, with what speaks against it."""
    yield "the table names every member of the workspace", sorted(MAY_KNOW.keys() ^ packages().keys())
    for crate, known in MAY_KNOW.items():
        yield knows_no_more(crate, known)
    for crate in PURE:
        yield f"{crate} brings no event loop, socket or chance", sorted(tree(crate) & ABSENT_FROM_PURE)
        yield names_no_effects(crate)
    yield "the cluster's machines name no clock, disk, network, thread or event loop", list(machines_with_effects())
    yield "in the cluster only the NATS transport names async-nats", list(found("async_nats", outside_of("nats")))
    yield "one TLS library, one HTTP client: nothing else is shipped", sorted(shipped() & ABSENT_EVERYWHERE)
    for name, allowed in ONLY_IN.items():
        yield f"only {', '.join(sorted(allowed))} may name {name}", sorted(users_of(name) - allowed)
    yield "every dependency that is named is used", list(unused_dependencies())
    yield "every source file opens with what it is for", list(files_without_purpose())
    yield "no module is called by what says nothing", list(files_with_banned_names())
    for pattern, meaning in BANNED_IN_SOURCES.items():
        yield f"nowhere {meaning}", list(found(pattern, sources()))


def knows_no_more(crate: str, known: set[str]) -> Proof:
    allowed = {None: known, "build": known, "dev": known | TESTS_MAY_KNOW}
    objections = [
        f"{crate} depends on {name}{' in tests' if kind == 'dev' else ''}"
        for name, kind in dependencies(crate)
        if name in MAY_KNOW and name not in allowed[kind]
    ]
    return f"{crate} knows {', '.join(sorted(known)) or 'no other crate of ours'}", objections


def names_no_effects(crate: str) -> Proof:
    files = sorted((ROOT / "crates" / crate / "src").rglob("*.rs"))
    pattern = "|".join(re.escape(name) for name in ABSENT_FROM_PURE_SOURCES)
    return f"{crate} names no clock, disk, network, thread or process", list(found(pattern, files))


def machines_with_effects() -> Iterator[str]:
    pattern = "|".join(re.escape(name) for name in ABSENT_FROM_MACHINES)
    return found(pattern, outside_of(*EFFECTS))


def outside_of(*parts: str) -> list[pathlib.Path]:
    """The cluster's sources but for these."""
    folder = ROOT / "crates" / "drumfire-cluster" / "src"
    return sorted(path for path in folder.rglob("*.rs") if path.relative_to(folder).parts[0] not in parts)


@functools.cache
def packages() -> dict[str, dict]:
    """The workspace's packages by name."""
    text = output("cargo", "metadata", "--format-version", "1", "--no-deps", "--locked")
    return {package["name"]: package for package in json.loads(text)["packages"]}


def dependencies(crate: str) -> list[tuple[str, str | None]]:
    """What a crate's manifest names: normal dependencies have no kind."""
    return [(dependency["name"], dependency["kind"]) for dependency in packages()[crate]["dependencies"]]


def users_of(name: str) -> set[str]:
    """Our crates that name a dependency outside their tests."""
    return {crate for crate in packages() if any(name == other and kind != "dev" for other, kind in dependencies(crate))}


def unused_dependencies() -> Iterator[str]:
    """What a manifest names and no source of its crate does, and what only the root's manifest names."""
    named = set()
    for crate in packages():
        folder = pathlib.Path(packages()[crate]["manifest_path"]).parent
        text = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.rs"))
        for name, _ in dependencies(crate):
            named.add(name)
            if not re.search(rf"\b{LIBRARY_NAMES.get(name, name).replace('-', '_')}\b", text):
                yield f"{crate} names {name}"
    with (ROOT / "Cargo.toml").open("rb") as file:
        for name in sorted(tomllib.load(file)["workspace"]["dependencies"].keys() - named):
            yield f"the root names {name}"


def tree(crate: str) -> set[str]:
    """Everything that is built into a crate."""
    return names(output("cargo", "tree", "--locked", "-p", crate, "-e", "normal", "--prefix", "none", "-f", "{p}"))


def shipped() -> set[str]:
    """Everything that is built into the binary, or runs to build it."""
    return names(
        output("cargo", "tree", "--locked", "-p", "drumfire-cli", "-e", "normal,build", "--prefix", "none", "-f", "{p}")
    )


def names(lines: str) -> set[str]:
    return {line.split()[0] for line in lines.splitlines() if line.strip()}


def sources() -> list[pathlib.Path]:
    """Every Rust file of ours."""
    return sorted(path for folder in ("crates", "bench", "fuzz/fuzz_targets") for path in (ROOT / folder).rglob("*.rs"))


def files_without_purpose() -> Iterator[str]:
    for path in sources():
        with path.open(encoding="utf-8") as file:
            if not file.readline().startswith("//!"):
                yield str(path.relative_to(ROOT))


def files_with_banned_names() -> Iterator[str]:
    for path in sources():
        parts = path.relative_to(ROOT).with_suffix("").parts
        if BANNED_NAMES.intersection(parts):
            yield str(path.relative_to(ROOT))


def found(pattern: str, files: list[pathlib.Path]) -> Iterator[str]:
    """Lines that match, comments aside."""
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(pattern, line) and not line.lstrip().startswith("//"):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
