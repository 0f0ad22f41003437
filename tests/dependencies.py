"""Test the use road against the oldest and the newest dependencies that pyproject.toml allows.

``make test-dependencies`` runs it. It builds one environment for each entry of `SETUPS` under ``build/dependencies``,
with an interpreter of its own, and runs the tests of `TESTS` there. An interpreter that is not on this machine is
skipped with a reason. Environments are built again only when pyproject.toml changes.

    python tests/dependencies.py             build the environments and run the tests
    python tests/dependencies.py --oldest    print the oldest versions, as a constraints file for pip
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = ROOT / "pyproject.toml"
FOLDER = ROOT / "build" / "dependencies"

#: Name of an environment -> version of Python.
SETUPS = {"oldest": "3.10", "newest": "3.13"}

#: The extras that are installed beside the run-time dependencies, and what the tests themselves need.
EXTRAS = ("formats", "parquet")
TOOLS = ("hypothesis", "onnx", "pytest", "pytest-xdist")

#: What runs in each environment. None of it imports the learning side.
TESTS = (
    "tests/features/test_extractor.py",
    "tests/features/test_feature_invariants.py",
    "tests/test_audio.py",
    "tests/test_bundle.py",
    "tests/test_cli_predict.py",
    "tests/test_doctor.py",
    "tests/test_emotions.py",
    "tests/test_enrolment.py",
    "tests/test_explain.py",
    "tests/test_recognizer.py",
    "tests/test_answer_file.py",
    "tests/test_speech.py",
    "tests/test_windows.py",
    "tests/test_listening.py",
)


def minima(project: dict[str, object]) -> dict[str, str]:
    """Each package that the project or an extra asks for -> the oldest version allowed.

    Examples
    --------
    >>> minima({"dependencies": ["numpy>=1.24", "tomli>=2; python_version < '3.11'"],
    ...         "optional-dependencies": {"formats": ["av>=12"]}})
    {'numpy': '1.24', 'tomli': '2', 'av': '12'}
    """
    found: dict[str, str] = {}
    extras = project.get("optional-dependencies", {})
    assert isinstance(extras, dict)
    for needs in (project["dependencies"], *extras.values()):
        for need in needs:  # type: ignore[attr-defined]
            parts = re.match(r"([\w.-]+)\s*>=\s*([\w.]+)", need)
            assert parts, f"{need} states no oldest version: write name>=version"
            found[parts[1]] = parts[2]
    return found


def oldest() -> str:
    """The oldest version of each run-time dependency and of `EXTRAS`, as a constraints file for pip."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = {name: project["optional-dependencies"][name] for name in EXTRAS}
    used = minima({"dependencies": project["dependencies"], "optional-dependencies": extras})
    return "".join(f"{name}=={version}\n" for name, version in used.items())


def interpreter(version: str) -> str | None:
    """A Python of this version that runs and can make environments, from PATH or from pyenv; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [sys.executable, shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for place in filter(None, places):
        done = subprocess.run([str(place), "-c", code], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return str(place)
    return None


def build(name: str, python: str) -> Path:
    """The Python of the environment `name`, made anew if pyproject.toml has changed since."""
    folder = FOLDER / name
    inside = folder / "bin" / "python"
    recipe = f"{python}\n{EXTRAS}\n{TOOLS}\n{PYPROJECT.read_text(encoding='utf-8')}"
    stamp = folder / "made-from"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == recipe:
        return inside
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    constraints = folder / "constraints.txt"
    constraints.write_text(oldest() if name == "oldest" else "", encoding="utf-8")
    pip = [str(inside), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, "-c", str(constraints), "-e", f"{ROOT}[{','.join(EXTRAS)}]", *TOOLS], check=True)
    stamp.write_text(recipe, encoding="utf-8")
    return inside


def main() -> int:
    if "--oldest" in sys.argv[1:]:
        print(oldest(), end="")
        return 0
    failed = []
    for name, version in SETUPS.items():
        python = interpreter(version)
        if python is None:
            print(f"Dependencies, {name}: skipped, for no Python {version} was found on PATH or under pyenv.")
            continue
        inside = build(name, python)
        print(f"Dependencies, {name}, Python {version}:", flush=True)
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SERKIT_DATA")}
        words = [str(inside), "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *TESTS]
        if subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"The tests failed with the {' and the '.join(failed)} dependencies.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
