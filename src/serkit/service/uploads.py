"""The body of a request -> recordings and options."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar, cast

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from serkit.audio.bounded import Bounded, Most
from serkit.service.problems import Problem, invalid

__all__ = ["Body", "Upload", "options", "received"]

_MEMORY = 1 << 20  # bytes of a recording kept in memory; more goes to a temporary file
_MOST_FIELD = 1 << 20  # bytes of a field that is no file
_MOST_FIELDS = 30
_RAW = ("audio/", "video/", "application/octet-stream", "application/ogg")
_Options = TypeVar("_Options", bound=BaseModel)


@dataclass(frozen=True)
class Upload:
    """A recording that was sent: its file, and the name that its sender gave it."""

    file: BinaryIO
    name: str | None

    def bounded(self, most: Most) -> Any:
        """Return it for :func:`serkit.audio.load`, with a limit to its sound."""
        return Bounded(self.file, self.name or "the recording", most)


@dataclass(frozen=True)
class Body:
    """What was sent."""

    uploads: list[Upload]
    fields: dict[str, Any] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def received(request: Request, *, most_files: int) -> AsyncIterator[Body]:
    """Read the body: the files of a form, or one recording as it is. What is kept on disk is removed at the end.

    Raises
    ------
    Problem
        400: not a form; 413: too many files; 415: another kind of content; 422: no recording.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "Packed bodies are not read: send the recording as it is, without Content-Encoding.")
    if kind == "multipart/form-data":
        async with _form(request, most_files) as body:
            yield body
        return
    if kind and not kind.startswith(_RAW):
        raise Problem(
            415,
            f"A body of the type {kind!r:.80} is not read: send a form (multipart/form-data) with the field file, or a "
            "recording as audio/*, video/* or application/octet-stream.",
        )
    with tempfile.SpooledTemporaryFile(_MEMORY) as file:
        async for piece in request.stream():
            file.write(piece)
        if not file.tell():
            raise Problem(422, "The body is empty: send a recording, or a form with the field file.")
        yield Body([Upload(cast("BinaryIO", file), None)])


@contextlib.asynccontextmanager
async def _form(request: Request, most_files: int) -> AsyncIterator[Body]:
    try:
        form = await request.form(max_files=most_files + 1, max_fields=_MOST_FIELDS, max_part_size=_MOST_FIELD)
    except HTTPException as error:
        status = 413 if "Too many" in str(error.detail) or "exceeded" in str(error.detail) else 400
        raise Problem(status, f"The form cannot be read: {str(error.detail).rstrip('.')}.") from None
    try:
        uploads: list[Upload] = []
        fields: dict[str, Any] = {}
        for name, value in form.multi_items():
            if name == "file" and isinstance(value, UploadFile):
                uploads.append(Upload(value.file, value.filename or None))
            elif name == "file":
                raise Problem(422, "The field file holds text: send a recording, as curl -F file=@a.wav.")
            elif name in fields:
                raise Problem(422, f"The field {name!r:.80} is given twice: give it once.")
            else:
                fields[name] = (await value.read(_MOST_FIELD)).decode("utf-8", "replace") if isinstance(
                    value, UploadFile
                ) else value  # fmt: skip
        if len(uploads) > most_files:
            raise Problem(413, f"The form holds {len(uploads)} files or more, {most_files} are allowed: send fewer.")
        if not uploads:
            raise Problem(422, "There is no recording: send it in the field file, as curl -F file=@a.wav.")
        yield Body(uploads, fields)
    finally:
        await form.close()


def options(kind: type[_Options], request: Request, body: Body) -> _Options:
    """Read the options from the query and the form; the form wins.

    Raises
    ------
    Problem
        422 if one is unknown or wrong.
    """
    given: dict[str, Any] = {**request.query_params, **body.fields}
    try:
        return kind.model_validate({name: value for name, value in given.items() if value != ""})
    except ValidationError as error:
        raise invalid(error.errors()) from None
