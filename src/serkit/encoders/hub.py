"""Fetch encoders from the hub of Hugging Face by name, revision and checksum."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from serkit.encoders.folder import CONFIG, INPUT, VARIABLE, WEIGHTS, file_hash, parsed_config, weights_hash
from serkit.encoders.registry import FAMILIES, known_family
from serkit.errors import FeatureError, MissingExtraError, SerkitError
from serkit.files import hold, write_atomic, write_json

if TYPE_CHECKING:
    import requests

__all__ = ["HUB", "Origin", "fetch_encoder", "read_origin", "root_folder"]

#: Address of the hub.
HUB = "https://huggingface.co"

_ORIGIN = "origin.json"
_NAME = re.compile(r"(?!\.)[\w.-]+/(?!\.)[\w.-]+", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_HEX = re.compile(r"[0-9a-f]{64}")
_MAX_SMALL = 16 << 20  # bytes of a JSON answer or file


@dataclass(frozen=True)
class Origin:
    """Where an encoder came from; ``origin.json`` beside its weights.

    Attributes
    ----------
    name : str
        On the hub, such as ``openai/whisper-base``.
    revision : str
        The commit.
    sha256 : str
        Of the weights, hex.
    licence : str
        As its page states it, such as ``apache-2.0``; "" if it does not.
    """

    name: str
    revision: str
    sha256: str
    licence: str


def root_folder(to: str | os.PathLike[str] | None = None, *, option: str = "--to") -> Path:
    """The folder of all encoders: `to`, or what ``SERKIT_ENCODERS`` names; FeatureError if neither is given."""
    root = os.fspath(to) if to is not None else os.environ.get(VARIABLE, "")
    if not root:
        raise FeatureError(f"No folder for encoders is named: set {VARIABLE} to it, or add {option} DIR.")
    return Path(root).expanduser()


def fetch_encoder(
    name: str,
    *,
    revision: str = "main",
    sha256: str | None = None,
    to: str | os.PathLike[str] | None = None,
    force: bool = False,
    base_url: str = HUB,
) -> Path:
    """Download an encoder into the folder ``<to>/<name>``, where :func:`read_encoder` finds it by its name.

    Weights with the right checksum are not downloaded again. What arrives is kept until it is complete, so the next
    call resumes an interrupted download. Nothing is replaced before the new weights are complete and checked.

    Parameters
    ----------
    name : str
        Owner and model on the hub, such as ``openai/whisper-base``.
    revision : str
        Branch, tag or commit. Give a commit to receive the same files for good.
    sha256 : str, optional
        The checksum that the weights must have, hex. Without it they are checked against the one that the hub states.
    to : path, optional
        The folder of all encoders; by default the one that the environment variable ``SERKIT_ENCODERS`` names.
    force : bool
        Replace other weights that are in the folder.
    base_url : str
        Address of the hub, or of a mirror.

    Returns
    -------
    Path
        The folder of the encoder; :func:`read_origin` returns commit, checksum and licence.

    Raises
    ------
    FeatureError
        If the hub cannot be reached, has no such model, or one of an unknown type or without safetensors; if the
        checksum is wrong; if the folder holds other weights; or if the download breaks off (received bytes are kept).
    MissingExtraError
        If the extra ``encoders`` is not installed.

    See Also
    --------
    find_encoder : The folder of an encoder that is at hand.
    """
    if not _NAME.fullmatch(name):
        raise FeatureError(f"{name!r} is no name on the hub: expected owner/model, as in openai/whisper-base.")
    if sha256 is not None and not _HEX.fullmatch(sha256):
        raise FeatureError(f"A SHA-256 has 64 digits of 0-9 and a-f, got {sha256!r}.")
    try:
        from serkit.downloads import Resume
    except ModuleNotFoundError as error:
        raise MissingExtraError("Fetching an encoder", error.name or "requests", "encoders") from None
    folder = root_folder(to) / name
    server = _Server(base_url.rstrip("/"), name, revision, folder)
    origin, files = server.facts(sha256)
    address = f"{server.url}/{name}/resolve/{origin.revision}/"
    small = {CONFIG: server.text(address + CONFIG)}
    needed = FAMILIES[known_family(parsed_config(small[CONFIG], address + CONFIG), f"{name} on {server.url}")].files
    server.need(needed, files)
    small |= {file: server.text(address + file) for file in needed if file not in (CONFIG, WEIGHTS)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / _ORIGIN):
            if not _has(folder, origin.sha256, force=force):
                new = folder / f".{WEIGHTS}.new"
                Resume(folder / f"{WEIGHTS}.part", FeatureError)(address + WEIGHTS, new)
                found = file_hash(new)
                if found != origin.sha256:
                    new.unlink()
                    raise FeatureError(
                        f"The weights of {name} have the wrong checksum and were removed: SHA-256 {found}, expected "
                        f"{origin.sha256}. Run the command again; if it fails again, the server has a different file."
                    )
                new.replace(folder / WEIGHTS)
            for file, text in small.items():
                write_atomic(text, folder / file)
            write_json(asdict(origin), folder / _ORIGIN)
    except OSError as error:
        raise FeatureError(f"{name} cannot be written to {folder} ({error.strerror or error}).") from None
    return folder


def _has(folder: Path, sha256: str, *, force: bool) -> bool:
    """Whether the folder has these weights; FeatureError if it has others that may not be replaced."""
    file = folder / WEIGHTS
    if not file.is_file():
        return False
    found = weights_hash(folder)
    if found != sha256 and not force:
        raise FeatureError(
            f"{file} holds other weights, SHA-256 {found}: add --force (force=True) to replace them, or choose another "
            "folder."
        )
    return found == sha256


def read_origin(folder: Path) -> Origin | None:
    """Where the encoder in a folder came from; None if :func:`fetch_encoder` did not write it."""
    try:
        return Origin(**json.loads((folder / _ORIGIN).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


class _Server:
    """One model at one revision on a hub; every failure is a sentence."""

    def __init__(self, url: str, name: str, revision: str, folder: Path) -> None:
        self.url, self.name, self.revision, self.folder = url, name, revision, folder

    def facts(self, sha256: str | None) -> tuple[Origin, set[str]]:
        """Commit, checksum and licence, and the names of all files."""
        where = f"{self.name} at the revision {self.revision}"
        text = self.text(f"{self.url}/api/models/{self.name}/revision/{quote(self.revision, safe='')}?blobs=true")
        try:
            answer = json.loads(text)
            files = {entry["rfilename"]: entry for entry in answer["siblings"]}
            commit = answer["sha"]
            if not _COMMIT.fullmatch(commit):
                raise ValueError(commit)
            stated = (files.get(WEIGHTS, {}).get("lfs") or {}).get("sha256")
            licence = (answer.get("cardData") or {}).get("license") or ""
        except (ValueError, TypeError, KeyError, AttributeError):
            raise FeatureError(f"{self.url} does not answer like the hub does: check the address (--mirror).") from None
        self.need((CONFIG, WEIGHTS), set(files))
        if sha256 is None and stated is None:
            raise FeatureError(f"{self.url} states no checksum for the weights of {where}: give it (--sha256).")
        if sha256 is not None and stated is not None and sha256 != stated:
            raise FeatureError(
                f"The weights of {where} have the SHA-256 {stated} on {self.url}, expected {sha256}: "
                "check the revision."
            )
        licence = ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence)
        return Origin(self.name, commit, str(sha256 or stated), licence), set(files)

    def need(self, needed: Sequence[str], files: set[str]) -> None:
        """FeatureError if the model lacks one of the files that serkit reads."""
        where = f"{self.name} at the revision {self.revision}"
        missing = [file for file in needed if file not in files]
        if missing == [WEIGHTS] and "pytorch_model.bin" in files:
            raise FeatureError(
                f"{where} has only pickled weights, which are not safe to read: look among its pull requests on "
                f"{self.url} for {WEIGHTS}, and give that revision, such as refs/pr/1."
            )
        if missing == [WEIGHTS] and f"{WEIGHTS}.index.json" in files:
            raise FeatureError(f"{where} has its weights in several files, serkit reads one: choose a smaller model.")
        if missing:
            raise FeatureError(f"{where} has no {missing[0]} on {self.url}: check name and revision.")

    def text(self, url: str) -> str:
        """A small text file or answer."""
        import requests

        from serkit.downloads import TIMEOUT, reason_of

        try:
            with requests.get(url, stream=True, timeout=TIMEOUT) as response:
                self._check(response)
                content = b""
                for piece in response.iter_content(1 << 16):
                    content += piece
                    if len(content) > _MAX_SMALL:
                        raise FeatureError(
                            f"{url} sends more than {_MAX_SMALL >> 20} MB where a small text is expected."
                        )
            return content.decode("utf-8")
        except requests.RequestException as error:
            raise self._offline(reason_of(error)) from None
        except UnicodeDecodeError:
            raise FeatureError(f"{url} does not send text.") from None

    def _check(self, response: requests.Response) -> None:
        if response.status_code in (401, 403, 404):
            raise FeatureError(
                f"{self.url} has no public model {self.name} at the revision {self.revision} (it answers "
                f"{response.status_code}): check name and revision. The name has an owner, as in openai/whisper-base."
            )
        if response.status_code != 200:
            raise FeatureError(
                f"{self.url} answers {response.status_code} {response.reason} for {self.name}: try again later, or "
                "choose another server (--mirror)."
            )

    def _offline(self, reason: str) -> SerkitError:
        root = self.folder.parent.parent
        return FeatureError(
            f"{self.url} cannot be reached ({reason}). Without a connection, copy {CONFIG}, {WEIGHTS} and, unless it "
            f"is a Whisper model, {INPUT} to {self.folder}, and set {VARIABLE} to {root}."
        )
