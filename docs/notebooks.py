"""Run the notebooks from top to bottom and save their output: ``make notebooks SERKIT_DATA=folder``.

Times and versions are left out of the files, so a difference in a notebook is a difference in its results.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(path: Path, out: Path, *, data: Path, quick: bool = False) -> None:
    """Run the notebook ``path`` on the corpus below ``data`` and write it with its outputs to ``out``.

    ``quick`` reduces it to a few actors, trees and epochs.
    """
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "SERKIT_DATA": str(data.resolve()), "SERKIT_NOTEBOOK_QUICK": str(int(quick))}
    # No kernel folders: this makes sure that the kernel is this Python, not another one installed under the same name.
    specs = KernelSpecManager(kernel_dirs=[])
    with tempfile.TemporaryDirectory() as work:
        manager = AsyncKernelManager(
            kernel_name="python3",
            kernel_spec_manager=specs,
            connection_file=str(Path(work) / "kernel.json"),
            # Unix sockets where available: other users of this machine could listen in on TCP ports.
            transport="ipc" if os.name == "posix" else "tcp",
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=1800,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": work}},
        )
        # nbclient does not clean up a manager that it did not create, so tell it to stop the kernel.
        client.execute(env=environment, cleanup_kc=True)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    nbformat.write(notebook, out)


def main() -> None:
    """Run the requested notebooks."""
    parser = argparse.ArgumentParser(description="Run the notebooks and save their output.")
    parser.add_argument("data", help="folder that holds RAVDESS")
    parser.add_argument("notebooks", nargs="*", help="how their names begin, such as 02; default: all")
    parser.add_argument("--quick", action="store_true", help="a few actors, trees and epochs")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to; default: in place")
    given = parser.parse_args()
    if not Path(given.data or "missing").is_dir():
        sys.exit("Say where the corpus is: make notebooks SERKIT_DATA=folder")
    starts = tuple(given.notebooks) or ("",)
    for path in sorted(FOLDER.glob("*.ipynb")):
        if path.name.startswith(starts):
            print(path.name, flush=True)
            try:
                run(path, given.out / path.name, data=Path(given.data), quick=given.quick)
            except CellExecutionError as error:
                sys.exit(f"{path.name} stopped: {error}")


if __name__ == "__main__":
    main()
