"""How many small faults in the core modules do the tests catch? ``make mutants`` says it.

A mutant is the package with one operator, bound, constant or choice of minimum and maximum changed. A seeded sample is
drawn from all such changes in the modules of `AREAS`. Each mutant is made in a copy of the project, and the tests that
concern its module run against it; the mutant is caught if one of them fails or does not end in time.

    python tests/mutants.py                        30 mutants, seed 0
    python tests/mutants.py --seed 3 --count 50    another sample
    python tests/mutants.py --only features/pitch  of one module only
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE = "tests/test_core_values.py"
FEATURES = (CORE, "tests/features/test_feature_values.py", "tests/features/test_feature_invariants.py")
VOICES = "tests/features/test_voice_measures.py"

#: Module under src/serkit -> the tests that concern it, the likeliest to fail first.
AREAS: dict[str, tuple[str, ...]] = {
    "audio/arrays": ("tests/test_audio.py",),
    "audio/voice_activity": (
        CORE,
        "tests/test_speech.py",
    ),
    "audio/waveform": (
        CORE,
        "tests/test_audio.py",
    ),
    "audio/utterances": ("tests/test_listening.py",),
    "bundle/manifest": ("tests/test_bundle.py",),
    "emotions": ("tests/test_emotions.py",),
    "evaluation/metrics": ("tests/test_evaluation.py",),
    "evaluation/paired": ("tests/test_paired.py",),
    "features/analysis": FEATURES,
    "features/banks": FEATURES,
    "features/described": (VOICES,),
    "features/formants": (VOICES,),
    "features/pitch": FEATURES,
    "features/pulses": (VOICES,),
    "features/spectral": FEATURES,
    "features/temporal": FEATURES,
    "features/tracking": (CORE, VOICES),
    "features/voice": (VOICES,),
    "models/linear_network": ("tests/test_linear_network.py",),
    "protocol/assignment": ("tests/test_protocol.py",),
    "protocol/folds": (
        CORE,
        "tests/test_protocol.py",
    ),
    "protocol/left_out": ("tests/test_left_out.py",),
    "protocol/make": ("tests/test_protocol.py",),
    "protocol/split": ("tests/test_protocol.py",),
    "recognition/rows": ("tests/test_answer_file.py", "tests/test_cli_predict.py"),
    "recognition/segments": ("tests/test_listening.py", "tests/test_windows.py"),
    "recognition/windows": ("tests/test_windows.py",),
    "training/adaptation": ("tests/test_adaptation.py",),
    "training/familiarity": ("tests/test_adaptation.py",),
}

#: How often the unchanged tests' time a mutant may take, and how much more (s).
PATIENCE = 4.0, 60.0

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "floor": "ceil", "ceil": "floor"}


@dataclass(frozen=True)
class Mutant:
    """One change: the module, its number among the module's changes, the line, and the text before and after."""

    module: str
    number: int
    line: int
    before: str
    after: str


class _Changer(ast.NodeVisitor):
    """Count the places that can change, and change the one that is wanted.

    Annotations, decorators, docstrings and f-strings are left alone.
    """

    def __init__(self, wanted: int = -1) -> None:
        self.wanted, self.found, self.statement = wanted, [], None  # type: ignore[var-annotated]

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self.statement = node
        super().visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for child in node.body:
            self.visit(child)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for child in node.body:
            self.visit(child)

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Compare(self, node: ast.Compare) -> None:
        for k, operator in enumerate(node.ops):
            if type(operator) in SWAPS:
                self._place(node, lambda k=k, o=operator: node.ops.__setitem__(k, SWAPS[type(o)]()))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in SWAPS and not isinstance(node.left, ast.JoinedStr):
            self._place(node, lambda: setattr(node, "op", SWAPS[type(node.op)]()))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in SWAPS:
            self._place(node, lambda: setattr(node, "op", SWAPS[type(node.op)]()))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._place(node, lambda: setattr(node, "op", SWAPS[type(node.op)]()))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub):
            self._place(node, lambda: setattr(node, "op", ast.UAdd()))
        elif isinstance(node.op, ast.Not):
            self._place(node, lambda: setattr(node, "op", ast.UAdd()) or setattr(node, "operand", ast.Call(
                ast.Name("bool", ast.Load()), [node.operand], [])))  # fmt: skip
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._place(node, lambda: setattr(node, "value", not value))
        elif isinstance(value, int):
            self._place(node, lambda: setattr(node, "value", value + 1))
        elif isinstance(value, float):
            self._place(node, lambda: setattr(node, "value", value * 1.5 if value else 1.0))

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func
        if isinstance(name, ast.Name) and name.id in NAMES:
            self._place(node, lambda: setattr(name, "id", NAMES[name.id]))
        elif isinstance(name, ast.Attribute) and name.attr in NAMES:
            self._place(node, lambda: setattr(name, "attr", NAMES[name.attr]))
        self.generic_visit(node)

    def _place(self, node: ast.expr | ast.stmt, change: object) -> None:
        number, before = len(self.found), ast.unparse(node)
        if number == self.wanted:
            assert callable(change)
            change()
            self.found.append((node.lineno, before, ast.unparse(node)))
        else:
            self.found.append((node.lineno, before, ""))


def mutants_of(module: str, source: str) -> list[Mutant]:
    """All changes of a module.

    Examples
    --------
    >>> [(m.line, m.before, m.after) for m in mutants_of("a", "x = 1 if y < z + 0.5 else None")]
    [(1, 'y < z + 0.5', 'y <= z + 0.5'), (1, 'z + 0.5', 'z - 0.5'), (1, '0.5', '0.75'), (1, '1', '2')]
    """
    counter = _Changer()
    counter.visit(ast.parse(source))
    return [_describe(module, source, number) for number in range(len(counter.found))]


def _describe(module: str, source: str, number: int) -> Mutant:
    changer = _Changer(number)
    changer.visit(ast.parse(source))
    return Mutant(module, number, *changer.found[number])


def mutated(source: str, number: int) -> str:
    """The text of a module after its change of this number."""
    tree = ast.parse(source)
    _Changer(number).visit(tree)
    return ast.unparse(ast.fix_missing_locations(tree))


def copied(folder: Path) -> Path:
    """A copy of the project whose sources may be changed; what only is read is linked."""
    folder.mkdir()
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("docs", "examples", "notebooks", "benchmarks", "pyproject.toml", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def first_failure(folder: Path, tests: tuple[str, ...], limit: float | None) -> str | None:
    """The first test that fails against the copy in `folder`, "timeout", or None if all pass."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:doctest", "--tb=no"]
    words += ["-o", "addopts=--strict-markers", "-rfE", "--hypothesis-profile=mutants", *tests]
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    if done.returncode == 0:
        return None
    told = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return told[0].split(" - ")[0].split(" ", 1)[1] if told else f"pytest ended with exit code {done.returncode}"


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--only", action="append", choices=sorted(AREAS), help="draw from this module only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    areas = given.only or sorted(AREAS)
    sources = {area: (ROOT / "src" / "serkit" / f"{area}.py").read_text(encoding="utf-8") for area in areas}
    everything = [mutant for area in areas for mutant in mutants_of(area, sources[area])]
    drawn = random.Random(given.seed).sample(everything, min(given.count, len(everything)))

    with tempfile.TemporaryDirectory() as root:
        free: queue.Queue[Path] = queue.Queue()
        for k in range(given.jobs):
            free.put(copied(Path(root) / f"copy{k}"))

        def unchanged(tests: tuple[str, ...]) -> tuple[str | None, float]:
            start, folder = time.monotonic(), free.get()
            try:
                return first_failure(folder, tests, None), time.monotonic() - start
            finally:
                free.put(folder)

        def judge(mutant: Mutant) -> str | None:
            folder, tests = free.get(), AREAS[mutant.module]
            path = folder / "src" / "serkit" / f"{mutant.module}.py"
            try:
                path.write_text(mutated(sources[mutant.module], mutant.number), encoding="utf-8")
                return first_failure(folder, tests, limits[tests])
            finally:
                path.write_text(sources[mutant.module], encoding="utf-8")
                free.put(folder)

        survived = 0
        with ThreadPoolExecutor(given.jobs) as pool:
            groups = sorted({AREAS[mutant.module] for mutant in drawn})
            limits = {}
            for tests, (failing, seconds) in zip(groups, pool.map(unchanged, groups), strict=True):
                if failing is not None:
                    print(f"The tests fail without any change: {failing}.")
                    return 2
                limits[tests] = PATIENCE[0] * seconds + PATIENCE[1]
            for mutant, verdict in zip(drawn, pool.map(judge, drawn), strict=True):
                survived += verdict is None
                change = f"{mutant.module}.py:{mutant.line}: {mutant.before}  ->  {mutant.after}"
                print(f"{'SURVIVED' if verdict is None else 'caught'}  {change}  [{verdict or ''}]", flush=True)
    print(f"Seed {given.seed}: {len(drawn) - survived} of {len(drawn)} mutants caught, of {len(everything)} possible.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
