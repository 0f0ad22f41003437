"""A trained model as a folder or zip: ``model.onnx``, ``manifest.json`` and ``README.md`` (the model card). No pickle.

Reading checks everything before the first recording is read: the manifest's keys, types and numbers, its format
version, the size and SHA-256 of each file, and that the graph's inputs, outputs and metadata fit the manifest. A zip is
read in memory and never unpacked; a link that leads out of a folder is not followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from serkit.bundle.clips import CLIPS, check_clips
from serkit.bundle.manifest import FORMAT_VERSION, Manifest
from serkit.bundle.onnxfile import check_graph
from serkit.errors import ArchiveError, BundleError
from serkit.files import followed, parse_json

if TYPE_CHECKING:
    import zipfile

__all__ = [
    "FORMAT_VERSION",
    "Bundle",
    "Manifest",
    "check_target",
    "find_bundles",
    "locate",
    "pack",
    "packaged",
    "read_bundle",
    "write_bundle",
]

MODEL, MANIFEST, CARD = "model.onnx", "manifest.json", "README.md"
_RUBBISH = frozenset({".DS_Store", "Thumbs.db"})  # what file managers leave in a folder
_BUNDLES = Path(__file__).parent.parent / "bundles"
# Largest size of each file, bytes, so that a manifest that lists huge files cannot fill the memory.
_MAX_BYTES = {MODEL: 1 << 30, MANIFEST: 1 << 22, CLIPS: 1 << 26}
_MAX_TEXT = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A checked model.

    Attributes
    ----------
    manifest : Manifest
    onnx : bytes
        The graph, as ONNX Runtime loads it.
    card : str
        The model card, Markdown.
    path : pathlib.Path
        The folder or zip it came from.
    clips : bytes or None
        Hashes of the training clips, as :mod:`serkit.bundle.clips` reads them; None if the bundle keeps none.

    See Also
    --------
    read_bundle : Reads one, with all checks.
    serkit.export_bundle : Makes one from a trained model.
    """

    manifest: Manifest
    onnx: bytes
    card: str
    path: Path
    clips: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of all files together, without the manifest."""
        return sum(self.manifest.sizes.values())

    def __repr__(self) -> str:
        return f"Bundle({self.manifest.name!r}, version={self.manifest.version!r}, path={str(self.path)!r})"


def packaged() -> dict[str, Path]:
    """Name and folder of each model that ships with serkit, sorted by name."""
    if not _BUNDLES.is_dir():
        return {}
    return {path.name: path for path in sorted(_BUNDLES.iterdir()) if (path / MANIFEST).is_file()}


def find_bundles(folder: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Packaged models by name, then what looks like a bundle in `folder` (or is `folder`) by path; unread.

    Raises
    ------
    BundleError
        If there is no such folder.
    """
    found = packaged()
    if folder is None:
        return found
    root = Path(folder)
    if not root.is_dir():
        raise BundleError(f"{os.fspath(folder)!r} is not a folder of bundles.")
    places = [root] if (root / MANIFEST).is_file() else sorted(root.iterdir())
    return found | {str(path): path for path in places if (path / MANIFEST).is_file() or path.suffix.lower() == ".zip"}


def locate(model: str | os.PathLike[str]) -> Path:
    """Return the folder or zip of a model.

    Parameters
    ----------
    model : str or path
        The name of a packaged model, or the path of a bundle. A packaged name comes first.

    Raises
    ------
    BundleError
        If there is no such model; the message names the packaged ones.

    Examples
    --------
    >>> locate("no-such-model")
    Traceback (most recent call last):
    serkit.errors.BundleError: No model 'no-such-model': it is neither a packaged model (...) nor a folder or zip.
    """
    names = packaged()
    if isinstance(model, str) and model in names:
        return names[model]
    path = Path(model)
    try:
        found = path.exists()
    except (OSError, ValueError):  # a name too long for the file system, or with a null byte
        found = False
    if not found:
        listed = ", ".join(names) or "none ships with this installation"
        raise BundleError(
            f"No model {os.fspath(model)!r}: it is neither a packaged model ({listed}) nor a folder or zip."
        )
    return path


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle and check all of it.

    Parameters
    ----------
    path : str or path
        A folder, a zip (with the files at its root or in one folder), or the name of a packaged model.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        If the bundle is missing, incomplete, truncated, changed, too new, or if its graph does not fit its manifest;
        the message says which and names the file.

    See Also
    --------
    write_bundle : Make one.
    serkit.recognition.recognizer.load : Read one and use it.
    """
    found = locate(path)
    try:
        if found.is_dir():
            return _read(found, lambda name, limit: _read_from_folder(found, name, limit))
        if not _begins_like_a_zip(found) and found.suffix.lower() != ".zip":
            raise BundleError(f"{found} is not a bundle: expected a folder or a zip with {MANIFEST}.")
        from serkit.zips import open_zip

        with open_zip(found, name=f"Bundle {found}") as archive:
            return _read(found, _zip_reader(found, archive))
    except ArchiveError as error:
        raise BundleError(str(error)) from None
    except OSError as error:
        raise BundleError(f"Bundle {found} cannot be read: {error.strerror or error}.") from None


def _begins_like_a_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _read(path: Path, get: Callable[[str, int], bytes | None]) -> Bundle:
    raw = get(MANIFEST, _MAX_BYTES[MANIFEST])
    if raw is None:
        raise BundleError(f"{path} is not a bundle: it holds no {MANIFEST}.")
    try:
        content = parse_json(raw)
    except ValueError as error:
        raise BundleError(f"{MANIFEST} of {path} is not valid JSON: {error}.") from None
    try:
        manifest = Manifest.from_dict(content)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
    for name in (MODEL, CARD):
        if name not in manifest.files:
            raise BundleError(f"{path}: {MANIFEST} does not list {name} under 'files', which every bundle holds.")
    contents = {
        name: _checked(path, manifest, name, get(name, _MAX_BYTES.get(name, _MAX_TEXT)))
        for name in sorted(manifest.files)
    }
    for name, check in ((MODEL, lambda data: check_graph(data, manifest)), (CLIPS, check_clips)):
        try:
            if name in contents:
                check(contents[name])
        except ValueError as error:
            raise BundleError(f"{name} of {path} {error}.") from None
    try:
        card = contents[CARD].decode("utf-8")
    except UnicodeDecodeError:
        raise BundleError(f"{CARD} of {path} is not UTF-8 text.") from None
    return Bundle(manifest, contents[MODEL], card, path, contents.get(CLIPS))


def _checked(path: Path, manifest: Manifest, name: str, data: bytes | None) -> bytes:
    if data is None:
        raise BundleError(f"Bundle {path} is incomplete: {name} is missing.")
    if name == CARD:  # may be edited: no answer depends on it
        return data
    expected = manifest.sizes[name]
    if len(data) < expected:
        raise BundleError(f"{name} of {path} is truncated: {len(data):,} bytes instead of {expected:,}.")
    digest = hashlib.sha256(data).hexdigest()
    if digest != manifest.files[name]:
        raise BundleError(
            f"{name} of {path} was changed after the bundle was written: "
            f"its SHA-256 is {digest[:12]}…, {MANIFEST} says {manifest.files[name][:12]}…."
        )
    return data


def _read_from_folder(folder: Path, name: str, limit: int) -> bytes | None:
    path = folder / name
    if path.is_symlink() and Path(os.path.realpath(folder)) not in Path(os.path.realpath(path)).parents:
        raise BundleError(f"{name} of {folder} is a link that leads out of the bundle: put the file itself there.")
    if not path.is_file():
        return None
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BundleError(f"{name} of {folder} is {path.stat().st_size:,} bytes; at most {limit:,} are read.")
    return data


def _zip_reader(path: Path, archive: zipfile.ZipFile) -> Callable[[str, int], bytes | None]:
    from serkit.zips import read_member

    members = {info.filename: info for info in archive.infolist()}
    places = [name for name in members if name == MANIFEST or name.split("/")[1:] == [MANIFEST]]
    if len(places) > 1:
        raise BundleError(f"{path} holds more than one {MANIFEST}: {', '.join(places)}.")
    prefix = places[0][: -len(MANIFEST)] if places else ""

    def get(name: str, limit: int) -> bytes | None:
        member = members.get(prefix + name)
        return None if member is None else read_member(archive, member, limit=limit, name=str(path))

    return get


def check_target(folder: str | os.PathLike[str], *, force: bool = False) -> None:
    """Make sure that a bundle can be written to `folder`, before hours of training go into it.

    Raises
    ------
    BundleError
        If a bundle is there and `force` is not set; if something else is there, even if it is beside an older bundle;
        or if the folder above may not be written.
    """
    target = followed(folder)
    try:
        if target.exists():
            names = {path.name for path in target.iterdir()} - _RUBBISH
            known = set(json.loads((target / MANIFEST).read_bytes())["files"]) | {MANIFEST} if names else set()
            if names - known:
                raise BundleError(
                    f"{folder} holds {sorted(names - known)[0]}, which is not part of a bundle: choose another place."
                )
            if names and not force:
                raise BundleError(
                    f"{folder} holds a bundle: add --force (force=True) to replace it, or choose another place."
                )
    except (OSError, ValueError, KeyError, TypeError):
        raise BundleError(f"{folder} exists and is not a bundle: choose another place or remove it.") from None
    above = next(path for path in target.parents if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        reason = "may not be written" if above.is_dir() else "is not a folder"
        raise BundleError(f"Bundle {folder} cannot be written: {above} {reason}.")


def write_bundle(
    folder: str | os.PathLike[str],
    *,
    onnx_bytes: bytes,
    manifest: Manifest,
    card: str,
    extra: Mapping[str, str | bytes] | None = None,
    force: bool = False,
) -> Bundle:
    """Write a bundle in one step, so that no half-written one is ever seen, and read it back.

    Parameters
    ----------
    folder : str or path
        Where; content that is not a bundle is left alone with an error (:func:`check_target`).
    onnx_bytes : bytes
        The serialised graph, with :func:`add_metadata`.
    manifest : Manifest
        Its ``files``, ``sizes`` and, if empty, ``created`` are filled in here.
    card : str
        The model card, Markdown.
    extra : mapping of str to str or bytes, optional
        Further files, such as ``{"LICENSE": text}``.
    force : bool
        Replace a bundle that is there.

    Returns
    -------
    Bundle
        As :func:`read_bundle` reads it.

    Raises
    ------
    BundleError
        If the parts do not fit each other, or if the folder is taken or cannot be written.
    """
    check_target(folder, force=force)
    contents = {MODEL: onnx_bytes, CARD: card.encode("utf-8")}
    for name, content in (extra or {}).items():
        if name in contents or name == MANIFEST:
            raise BundleError(f"The extra file {name} would replace a part of the bundle.")
        contents[name] = content.encode("utf-8") if isinstance(content, str) else content
    manifest = replace(
        manifest,
        created=manifest.created or date.today().isoformat(),
        files={name: hashlib.sha256(contents[name]).hexdigest() for name in sorted(contents)},
        sizes={name: len(contents[name]) for name in sorted(contents)},
    )
    contents[MANIFEST] = (json.dumps(manifest.to_dict(), indent=2, ensure_ascii=False) + "\n").encode("utf-8")
    from serkit.files import hold

    try:
        target = followed(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with hold(folder):
            check_target(folder, force=force)  # another process may have written one by now
            _put(contents, target)
    except OSError as error:
        raise BundleError(f"Bundle {folder} cannot be written: {error.strerror or error}.") from error
    return read_bundle(Path(folder))


def _put(contents: Mapping[str, bytes], target: Path) -> None:
    """Write the files beside `target`, and change places once they can be read."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        new.mkdir()
        for name, data in contents.items():
            (new / name).write_bytes(data)
        read_bundle(new)  # a bundle that cannot be read is not put in place
        try:
            if target.exists():
                target.rename(old)
            new.rename(target)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def pack(folder: str | os.PathLike[str], target: str | os.PathLike[str]) -> Path:
    """Zip a bundle; the same bundle gives the same bytes.

    Parameters
    ----------
    folder : str or path
        A bundle.
    target : str or path
        The zip to write; replaced if it exists.

    Returns
    -------
    pathlib.Path
        The zip.
    """
    bundle = read_bundle(folder)
    if not bundle.path.is_dir():
        raise BundleError(f"{bundle.path} is a zip already.")
    from serkit.files import hold

    path = Path(target)
    import zipfile

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with hold(path):
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in [MANIFEST, *sorted(bundle.manifest.files)]:
                info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                archive.writestr(info, (bundle.path / name).read_bytes())
        part.replace(path)
    return path
