"""Put the browser page together: ``python docs/browser/build.py OUT`` makes a folder that any web server can serve."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from importlib import resources
from pathlib import Path

from serkit.bundle import locate

HERE = Path(__file__).parent
RUNTIME = HERE / "node_modules" / "onnxruntime-web" / "dist"
PAGE = ("index.html", "page.css", "page.js")
NOTICES = ("LICENSE", "ThirdPartyNotices.txt")  # of ONNX Runtime, which its package for npm lacks
WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def build(out: Path, models: tuple[str, ...] = ("fast",)) -> None:
    """Write the page, the module, ONNX Runtime and the bundles `models` into the new or empty folder `out`."""
    if out.exists() and any(out.iterdir()):
        raise SystemExit(f"{out} is not empty: give a new folder.")
    if not RUNTIME.is_dir():
        raise SystemExit(f"ONNX Runtime Web is missing: run npm ci in {HERE}.")
    (out / "ort").mkdir(parents=True)
    (out / "serkit").mkdir()
    for name in PAGE:
        shutil.copyfile(HERE / name, out / name)
    for name in WASM:
        shutil.copyfile(RUNTIME / name, out / "ort" / name)
    for name in NOTICES:
        (out / "ort" / name).write_bytes(resources.files("onnxruntime").joinpath(name).read_bytes())
    for path in (HERE / "serkit").glob("*.js"):
        shutil.copyfile(path, out / "serkit" / path.name)
    names = []
    for model in models:
        bundle = locate(model)
        folder = out / "models" / bundle.name
        folder.mkdir(parents=True)
        for name in ("manifest.json", "model.onnx"):
            shutil.copyfile(bundle / name, folder / name)
        if (bundle / "LICENSE").is_file():
            shutil.copyfile(bundle / "LICENSE", folder / "LICENSE")
        names.append(bundle.name)
    (out / "models.json").write_text(json.dumps(names), encoding="utf-8")
    files = sorted(
        path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() and path.name not in NOTICES
    )
    version = hashlib.sha256()
    for name in files:
        version.update(name.encode() + b"\0" + hashlib.sha256((out / name).read_bytes()).digest())
    worker = (HERE / "worker.js").read_text(encoding="utf-8")
    worker = worker.replace("@VERSION@", version.hexdigest()[:16]).replace('["@FILES@"]', json.dumps(["./", *files]))
    (out / "worker.js").write_text(worker, encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a new or empty folder")
    parser.add_argument(
        "--model", action="append", help="name or folder of a bundle; repeat it for several (default: fast)"
    )
    given = parser.parse_args()
    build(given.out, tuple(given.model or ("fast",)))
    size = sum(path.stat().st_size for path in given.out.rglob("*") if path.is_file())
    print(f"{given.out}: {size / 1e6:.1f} MB. Serve it over https or on localhost.", file=sys.stderr)


if __name__ == "__main__":
    main()
