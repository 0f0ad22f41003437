"""The use road stays light: what predicting a recording loads, and what it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import soundfile as sf

from tests.conftest import voice
from tests.tiny_models import features_graph, write_tiny

HEAVY = {"torch", "sklearn", "pandas", "librosa", "numba", "matplotlib", "onnx", "skops", "joblib", "xgboost"}


def loaded_after(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`."""
    script = f"{code}\nimport json, sys; print('\\n' + json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def running(*commands: Sequence[str]) -> str:
    """Code that runs `ser` once for each of these words, and stops at the first exit code that is not 0."""
    lines = [
        "import sys, serkit.cli",
        "def ser(*words):",
        "    sys.argv = ['ser', *words]",
        "    try: serkit.cli.main()",
        "    except SystemExit as done: assert not done.code, done.code",
        *(f"ser(*{list(words)!r})" for words in commands),
    ]
    return "\n".join(lines)


def test_import_serkit_loads_next_to_nothing() -> None:
    loaded = loaded_after("import serkit; serkit.__version__; dir(serkit)")
    assert not loaded & (HEAVY | {"numpy", "scipy", "onnxruntime", "soundfile", "rich", "typer"})
    assert "serkit" in loaded


def test_every_public_name_is_there() -> None:
    use_road = ["Explanation", "Prediction", "Recognizer", "SerkitError", "Waveform", "load", "load_audio", "predict"]
    code = f"import serkit\nfor name in {use_road!r}: getattr(serkit, name)"
    assert not loaded_after(code) & HEAVY


def test_predicting_loads_nothing_of_the_learn_road(tmp_path: Path) -> None:
    import numpy as np

    from serkit.audio import Window
    from serkit.features import Extractor, Feature

    sf.write(tmp_path / "a.wav", voice(3, 1), 16000)
    write_tiny(tmp_path / "waves")
    extractor = Extractor(16000, Window(), (Feature("mfcc", {"n_mfcc": 4}), Feature("chroma")), "mean_std")
    given = {"kind": "features", "extractor": extractor.to_dict()}
    write_tiny(tmp_path / "features", graph=features_graph(np.zeros((32, 8))), input=given)
    clip, models = str(tmp_path / "a.wav"), [str(tmp_path / name) for name in ("waves", "features")]
    code = running(
        *(("predict", clip, "-m", model) for model in models),
        ("predict", clip, "-m", models[0], "--json"),
        *(("explain", clip, "-m", model, "--out", f"{model}.html") for model in models),
        ("models", "--folder", str(tmp_path)),
    )
    loaded = loaded_after(code)
    assert not loaded & HEAVY
    assert {"onnxruntime", "numpy", "soundfile"} <= loaded


def test_ser_predict_loads_these_files_and_no_others(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", voice(3, 1), 16000)
    write_tiny(tmp_path / "tiny")
    words = ["ser", "predict", str(tmp_path / "a.wav"), "-m", str(tmp_path / "tiny")]
    code = (
        f"import sys, serkit.cli; sys.argv = {words!r}\ntry: serkit.cli.main()\nexcept SystemExit: pass\n"
        "sys.modules = {m.replace('.', '_') if m.startswith('serkit') else m: None for m in sys.modules}"
    )
    loaded = loaded_after(code)
    assert not loaded & (HEAVY | {"scipy", "pyarrow", "av", "streamlit"})
    ours = {
        "": "_version cli devices emotions errors files terminal",
        "audio": (
            "arrays bounded channels decode folders headers mp3 quality reader reading signatures sound_file suffixes "
            "virtual_file voice_activity waveform"
        ),
        "bundle": "checks clips manifest onnxfile outline store",
        "cli": "info options predict runs",
        "recognition": (
            "csv_text graph graph_session in_parallel inputs model prediction recognizer rows runner sources"
        ),
    }
    expected = {"serkit", *(f"serkit_{room}" for room in ours if room)}
    expected |= {"_".join(filter(None, ("serkit", room, name))) for room in ours for name in ours[room].split()}
    assert {name for name in loaded if name.startswith("serkit")} == expected


def test_every_command_is_found_in_the_file_that_it_is_said_to_be_in() -> None:
    code = "\n".join(
        [
            "import importlib, serkit.cli as cli",
            "found = {}",
            "for name in sorted(set(cli.COMMANDS.values())):",
            "    importlib.import_module(f'serkit.cli.{name}')",
            "    groups = [group.name for group in cli.app.registered_groups]",
            "    commands = [command.name or command.callback.__name__ for command in cli.app.registered_commands]",
            "    found |= {command: found.get(command, name) for command in groups + commands}",
            "assert len(found) == len(groups + commands)",
            "wrong = {c: (found.get(c), cli.COMMANDS.get(c)) for c in {*found, *cli.COMMANDS}",
            "         if found.get(c) != cli.COMMANDS.get(c)}",
            "import json; print(json.dumps(wrong))",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wrong = json.loads(done.stdout)
    assert not wrong


def test_onnx_runtime_keeps_no_identifier_in_the_home_folder(tmp_path: Path) -> None:
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TMPDIR", "LOCALAPPDATA"), str(tmp_path))
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    code = "import serkit, onnxruntime"
    subprocess.run([sys.executable, "-c", code], env={**environment, **homes}, check=True)
    assert list(tmp_path.rglob("*")) == []


#: Makes `pandas` impossible to import, as it is where only the runtime is installed.
WITHOUT_PANDAS = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'pandas':
            raise ModuleNotFoundError(f'No module named {name!r}', name='pandas')
sys.meta_path.insert(0, Missing())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == 'pandas' else found(name, *rest)
"""


def run_without_pandas(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT_PANDAS + code], capture_output=True, text=True, check=False)


def test_learn_commands_name_the_missing_extra() -> None:
    for words in (["data", "describe", "."], ["train", "default", "--data", ".", "--out", "x"], ["recipes"]):
        done = run_without_pandas(f"sys.argv = ['ser', *{words!r}]\nimport serkit.cli; serkit.cli.main()")
        assert done.returncode == 2
        assert "needs the package 'pandas'" in done.stderr
        assert "pip install 'serkit[train]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_learn_names_name_the_missing_extra() -> None:
    done = run_without_pandas(
        "import serkit\ntry: serkit.read_corpus\nexcept serkit.MissingExtraError as error: print(error)"
    )
    assert done.stdout.startswith("serkit.read_corpus needs the package 'pandas'")


def test_help_and_version_come_without_the_extras() -> None:
    """An installation of the use road only: importing any package of an extra fails."""
    absent = f"import sys\nfor name in {sorted(HEAVY)!r}: sys.modules[name] = None\nfrom serkit.cli import main; main()"
    for words in (["--help"], ["--version"], ["compare", "--help"], ["train", "--help"], ["predict", "--help"]):
        done = subprocess.run([sys.executable, "-c", absent, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
