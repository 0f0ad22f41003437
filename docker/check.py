"""Try the container: python docker/check.py

Where Docker or Podman answers: build the image, run it as compose.yaml does, ask for an answer, stop it.
Where none does: read the Dockerfile and compose.yaml, do the Dockerfile's steps in a folder of this machine, and start
the service from there as the user of the image, who may write nothing but a temporary folder.

--quick starts the service of this Python instead of building anything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "examples" / "angry_1038.opus"
PATIENCE = 120.0  # s
NOT_IN_THE_IMAGE = ("pip", "gcc", "cc", "make")


class CheckError(Exception):
    """Something in the files, or in what they make, is not as it should be."""


def check(holds: object, says: str) -> None:
    """Say that something holds, or stop."""
    if not holds:
        raise CheckError(says)
    print(f"ok  {says}")


# ------------------------------------------------------------------------------------------------------------ the files


@dataclass
class Stage:
    """A stage of a Dockerfile: its instructions, in order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, word: str) -> str:
        """The last instruction of this kind."""
        found = [rest for kind, rest in self.steps if kind == word]
        if not found:
            raise CheckError(f"The stage {self.name or self.base} has no {word}.")
        return found[-1]

    def environment(self) -> dict[str, str]:
        """What its ENV instructions set."""
        pairs = [pair for kind, rest in self.steps if kind == "ENV" for pair in shlex.split(rest)]
        return dict(pair.split("=", 1) for pair in pairs)


def stages(path: Path) -> list[Stage]:
    """Read a Dockerfile."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            base, _, name = rest.partition(" AS ")
            for known, value in arguments.items():
                base = base.replace("${" + known + "}", value)
            found.append(Stage(base, name))
        elif not found:
            raise CheckError(f"{word} comes before FROM.")
        else:
            found[-1].steps.append((word, rest.strip()))
    return found


def check_dockerfile() -> list[Stage]:
    """What must hold for the Dockerfile."""
    build, final = found = stages(ROOT / "Dockerfile")
    for stage in found:
        check(re.fullmatch(r"python:3\.\d+-slim-\w+", stage.base), f"the base {stage.base} is slim and has versions")
        check(not any(kind == "ADD" for kind, _ in stage.steps), "nothing is fetched by ADD")
    check("--constraint requirements.lock" in build.last("RUN"), "packages have the versions of requirements.lock")
    pins = (ROOT / "docker" / "requirements-build.txt").read_text().splitlines()
    check(all("==" in pin for pin in pins if not pin.startswith("#")), "what builds the wheel is pinned")
    user = final.last("USER").split(":")
    check(all(part.isdigit() and int(part) >= 1000 for part in user), f"it runs as {':'.join(user)}, not as root")
    check("pip uninstall --yes" in final.last("RUN"), "pip is removed from the image")
    check(
        not any(word in final.last("RUN") for word in ("apt", "pip install")),
        "nothing is installed in the last stage",
    )
    check(json.loads(final.last("ENTRYPOINT")) == ["ser", "serve"], "it starts ser serve")
    check("/health/ready" in final.last("HEALTHCHECK"), "its health is that of /health/ready")
    return found


def check_compose() -> dict[str, Any]:
    """What must hold for compose.yaml."""
    import yaml

    service: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["serkit"]
    check(service["read_only"] is True, "compose: the root is read-only")
    check(any(one.startswith("/tmp:") and "size=" in one for one in service["tmpfs"]), "compose: /tmp is bounded")
    check(service["cap_drop"] == ["ALL"], "compose: no capabilities")
    check("no-new-privileges:true" in service["security_opt"], "compose: no new privileges")
    check({"mem_limit", "cpus", "pids_limit"} <= service.keys(), "compose: memory, cores and processes are limited")
    check(all(port.startswith("127.0.0.1:") for port in service["ports"]), "compose: only this machine may ask")
    check(service["command"][-2:] == ["--keys", "/run/secrets/keys"], "compose: keys come from a secret")
    check(not any("KEYS" in name for name in service["environment"]), "compose: no keys in the environment")
    return service


# ---------------------------------------------------------------------------------------------------------- its answers


def ask(address: str, data: bytes | None = None, key: str = "") -> Any:
    """The JSON of an answer."""
    headers = {"Content-Type": "application/octet-stream", **({"X-API-Key": key} if key else {})}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(address, data, headers), timeout=PATIENCE) as answer:
        return json.load(answer)


def until(done: Any, says: str) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise CheckError(f"not within {PATIENCE:g} s: {says}")
        time.sleep(0.2)
    print(f"ok  {says}")


def check_answer(address: str, key: str) -> None:
    """Ask for an answer, with and without the key."""
    with contextlib.suppress(OSError):
        ask(f"{address}/v1/models")
        raise CheckError("an answer without the key")
    row = ask(f"{address}/v1/predict", CLIP.read_bytes(), key)["rows"][0]
    check(row["error"] is None and row["emotion"] == "angry", f"it answers {row['emotion']}, and only with the key")


def new_key(folder: Path) -> str:
    """Make a key; its line is in keys.txt of the folder."""
    from serkit.service.keys import new_key as made

    key, line = made("check")
    (folder / "keys.txt").write_text(line + "\n", encoding="utf-8")
    (folder / "keys.txt").chmod(0o644)  # the user of the container reads it too; it holds a hash, not the key
    return key


# ------------------------------------------------------------------------------------------------------- with an engine


def engine() -> str | None:
    """Docker or Podman, if one of them answers."""
    for name in ("docker", "podman"):
        if shutil.which(name) and subprocess.run([name, "info"], capture_output=True).returncode == 0:
            return name
    return None


def out(*words: str) -> str:
    """What a command prints."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise CheckError(f"{shlex.join(words)}: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def in_a_container(name: str, service: dict[str, Any]) -> None:
    """Build the image and run it with what compose.yaml says."""
    more = ["--format", "docker"] if name == "podman" else []  # Podman's own format has no health check
    subprocess.run([name, "build", *more, "--tag", "serkit:check", str(ROOT)], check=True)
    size = int(out(name, "image", "inspect", "--format", "{{.Size}}", "serkit:check"))
    print(f"ok  the image has {size / 1e6:.0f} MB")
    for tool in NOT_IN_THE_IMAGE:
        words = (name, "run", "--rm", "--entrypoint", "sh", "serkit:check", "-c", f"command -v {tool} || echo none")
        check(out(*words) == "none", f"there is no {tool} in it")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        key = new_key(folder)
        limits = ["--read-only", "--cap-drop", "ALL", "--security-opt", service["security_opt"][0], "--init"]
        limits += ["--tmpfs", service["tmpfs"][0], "--pids-limit", str(service["pids_limit"])]
        limits += ["--memory", str(service["mem_limit"]), "--cpus", str(service["cpus"])]
        limits += ["--volume", f"{folder}/keys.txt:/run/secrets/keys:ro", "--publish", "127.0.0.1::8000"]
        box = out(name, "run", "--detach", *limits, "serkit:check", *service["command"])
        try:
            address = f"http://{out(name, 'port', box, '8000')}"
            status = ("inspect", "--format", "{{.State.Health.Status}}", box)
            until(lambda: out(name, *status) == "healthy", "it becomes healthy")
            check(out(name, "exec", box, "id", "-u") == "10001", "its user is not root")
            touched = out(name, "exec", box, "sh", "-c", "touch /opt/x 2>/dev/null || echo refused")
            check(touched == "refused", "its root is read-only")
            check_answer(address, key)
            out(name, "stop", "--time", "40", box)
            code = out(name, "inspect", "--format", "{{.State.ExitCode}}", box)
            check(code == "0", "stopped, it ends with exit code 0")
        finally:
            subprocess.run([name, "rm", "--force", box], capture_output=True)


# ---------------------------------------------------------------------------------------------------- without an engine


def built(build: Stage, place: Path) -> Path:
    """Do the steps of the first stage in a folder; return what the image gets of it."""
    moved = {"/opt/serkit": str(place / "opt"), "/build": str(place / "build")}

    def here(text: str) -> str:
        for there, path in moved.items():
            text = text.replace(there, path)
        return text

    (place / "build").mkdir()
    environment = {**os.environ, **build.environment()}
    environment.pop("PYTHONPATH", None)
    for word, rest in build.steps:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                to = place / "build" / (Path(source).name if target == "./" else target)
                ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, to, ignore=ignore)
                else:
                    shutil.copyfile(ROOT / source, to)
        elif word == "RUN":
            print(f"    RUN {rest[:100]}", flush=True)
            done = subprocess.run(
                ["sh", "-c", here(rest)], cwd=place / "build", env=environment, capture_output=True, text=True
            )
            if done.returncode:
                raise CheckError(f"RUN {rest}: {done.stderr.strip()[-2000:]}")
    tree = place / "opt"
    listed = out(str(place / "build" / "tools" / "bin" / "pip"), "--python", str(tree / "bin" / "python"), "freeze")
    pinned = set((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())
    other = [one for one in listed.splitlines() if "==" in one and one not in pinned]
    check(not other, f"its packages are those of requirements.lock{': not ' + ', '.join(other) if other else ''}")
    for tool in NOT_IN_THE_IMAGE:
        check(not (tree / "bin" / tool).exists(), f"there is no {tool} in it")
    size = sum(one.stat().st_size for one in tree.rglob("*") if one.is_file() and not one.is_symlink())
    print(f"ok  what is copied into the image has {size / 1e6:.0f} MB")
    return tree


def listing(tree: Path) -> set[tuple[str, int]]:
    """Every file and when it was written."""
    return {(str(one), one.lstat().st_mtime_ns) for one in tree.rglob("*")}


def as_image(final: Stage, service: dict[str, Any], tree: Path | None, place: Path) -> None:
    """Start the service as the image does: its environment, user, entry point and health check."""
    python = str(tree / "bin" / "python") if tree else sys.executable
    key = new_key(place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    temporary = place / "tmp"
    temporary.mkdir()
    temporary.chmod(0o777)
    environment = {"TMPDIR": str(temporary), "HOME": "/nonexistent", "LANG": "C.UTF-8", **final.environment()}
    environment |= {"SERKIT_SERVE_HOST": "127.0.0.1", "SERKIT_SERVE_PORT": port, "PATH": "/usr/bin:/bin"}
    environment |= {} if tree else {"PYTHONPATH": str(ROOT / "src")}
    user, group = map(int, final.last("USER").split(":"))
    who: dict[str, Any] = {"user": user, "group": group, "extra_groups": []}
    place.chmod(0o755)
    if not may_run(python, who):
        print("    this user may not start it as another one, or that one may not run this Python: it keeps its user")
        who = {}
    before = listing(tree) if tree else set()
    health = json.loads(final.last("HEALTHCHECK").partition(" CMD ")[2])
    command = [str(place / "keys.txt") if word == "/run/secrets/keys" else word for word in service["command"]]
    start = [python, "-c", "from serkit.cli import main; main()", *json.loads(final.last("ENTRYPOINT"))[1:], *command]
    with served(start, environment, who) as process:

        def healthy() -> bool:
            if process.poll() is not None:
                raise CheckError(f"it ended: {process.stderr.read()}")  # type: ignore[union-attr]
            done = subprocess.run([python, *health[1:]], env=environment, cwd="/", capture_output=True, **who)
            return done.returncode == 0

        until(healthy, f"it becomes healthy{f' as user {user}' if who else ''}")
        check_answer(f"http://127.0.0.1:{port}", key)
        process.terminate()
        check(process.wait(PATIENCE) == 0, "stopped, it ends with exit code 0")
    check(not list(temporary.iterdir()), "it leaves nothing behind in its temporary folder")
    check(not tree or listing(tree) == before, "it wrote nothing anywhere else")


def may_run(python: str, who: dict[str, Any]) -> bool:
    """Whether Python can be started as somebody else."""
    try:
        return subprocess.run([python, "-c", ""], cwd="/", capture_output=True, **who).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def served(command: list[str], environment: dict[str, str], who: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended in any case."""
    process = subprocess.Popen(command, env=environment, cwd="/", stderr=subprocess.PIPE, text=True, **who)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="build nothing")
    parser.add_argument("--no-engine", action="store_true", help="as if there were no Docker or Podman")
    given = parser.parse_args()
    try:
        build, final = check_dockerfile()
        service = check_compose()
        name = None if given.quick or given.no_engine else engine()
        if name is not None:
            in_a_container(name, service)
            return
        if not given.quick:
            print("    no container engine answers: the steps are done without one")
        with tempfile.TemporaryDirectory() as text:
            as_image(final, service, None if given.quick else built(build, Path(text)), Path(text))
    except CheckError as error:
        raise SystemExit(f"check: {error}") from None


if __name__ == "__main__":
    main()
