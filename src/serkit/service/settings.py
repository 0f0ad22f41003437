"""Every setting of the service, from the command line, the environment, a TOML file or its default, in this order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import TomlConfigSettingsSource as TomlSource

from serkit.devices import Device
from serkit.errors import SerkitError

__all__ = ["PREFIX", "Settings", "load_settings"]

#: What the environment variables begin with.
PREFIX = "SERKIT_SERVE_"

_Words = Annotated[list[str], NoDecode]


class Settings(BaseSettings):
    """What may be set. ``SERKIT_SERVE_MAX_BYTES`` is ``max_bytes``; lists have commas between in the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", validate_default=True, frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` lets other machines in.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    models: _Words = Field(
        ["default"],
        min_length=1,
        description="Models that may be asked for, by name or path; the first is the default.",
    )
    workers: int = Field(1, ge=1, le=256, description="Processes that answer.")
    threads: int = Field(0, ge=0, le=256, description="Recordings answered at once in each; 0: cores / `workers`.")
    device: Device = Field("auto", description="Where models run: `cpu`, `cuda`, or `auto`: a GPU where there is one.")

    keys_file: Path | None = Field(None, description="File with a line `name:SHA-256` for each API key.")
    keys: _Words = Field([], description="The same lines, with commas between.")
    cors: _Words = Field([], description="Origins whose pages may ask: `https://example.org`, or `*` for all.")
    tls_certificate: Path | None = Field(None, description="PEM file of the certificate and its chain: HTTPS.")
    tls_key: Path | None = Field(None, description="PEM file of its private key.")

    max_bytes: int = Field(64 << 20, ge=1, description="Bytes of a request's body.")
    max_files: int = Field(100, ge=1, le=1000, description="Files in a request.")
    max_seconds: float = Field(1800.0, gt=0, description="Seconds of sound in a recording.")
    max_decoded_bytes: int = Field(
        1 << 30, ge=1, description="Bytes of a recording's sound once decoded: 4 for each sample of each channel."
    )
    request_seconds: float = Field(60.0, gt=0, description="Time to wait for a thread and to answer, then 504.")
    header_seconds: float = Field(10.0, gt=0, description="Time for a request's head to arrive, else it is closed.")
    upload_seconds: float = Field(300.0, gt=0, description="Time for a body to arrive, then 408.")
    upload_idle_seconds: float = Field(10.0, gt=0, description="The longest pause in a body, then 408.")
    requests_at_once: int = Field(512, ge=1, description="Requests in each worker, uploads included; more get 503.")
    queue: int = Field(64, ge=0, description="Requests in each worker that wait for a thread; more get 503.")
    rate_per_minute: float = Field(6000.0, ge=0, description="Requests of a key in each worker; more get 429. 0: any.")
    rate_burst: int = Field(200, ge=1, description="Requests that a key may send at once before its rate counts.")

    streams: int = Field(250, ge=0, description="WebSocket streams in each worker at once.")
    stream_seconds: float = Field(4 * 3600.0, gt=0, description="Seconds of sound in a stream.")
    stream_idle_seconds: float = Field(30.0, gt=0, description="The longest pause between messages of a stream.")
    stream_message_bytes: int = Field(1 << 20, ge=1024, description="Bytes of a message of a stream.")

    jobs_folder: Path | None = Field(None, description="Where jobs are kept; if left out, a folder until it ends.")
    jobs_kept_seconds: float = Field(3600.0, gt=0, description="How long a finished job is kept.")
    jobs_waiting: int = Field(100, ge=0, description="Unfinished jobs, of all workers; more get 503. 0: no jobs.")
    job_max_bytes: int = Field(1 << 30, ge=1, description="Bytes of a job's body.")
    job_max_seconds: float = Field(6 * 3600.0, gt=0, description="Seconds of sound in a job.")
    job_max_decoded_bytes: int = Field(1 << 34, ge=1, description="Bytes of a job's sound once decoded.")

    shutdown_seconds: float = Field(30.0, gt=0, description="Time to finish what was begun when it is stopped.")

    telemetry: bool = Field(False, description="Send spans to OpenTelemetry (extra `telemetry`).")

    @field_validator("models", "keys", "cors", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @property
    def threads_used(self) -> int:
        """Threads that answer in each worker."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return self.threads or max(cores // self.workers, 1)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Given values first, then the environment, then the TOML file."""
        return named["init_settings"], named["env_settings"], TomlSource(settings_cls)


def load_settings(config: str | os.PathLike[str] | None = None, **given: Any) -> Settings:
    """Read the settings.

    Parameters
    ----------
    config : path, optional
        A TOML file with the names of :class:`Settings`.
    **given
        Values that win over everything else; None: not given.

    Raises
    ------
    SerkitError
        If a value is out of its limits, a name is unknown, or the file cannot be read.
    """
    named: type[Settings] = Settings
    if config is not None:
        place = Path(config)
        if not place.is_file():
            raise SerkitError(f"There is no file '{place}': --config takes a TOML file of settings.")

        class named(Settings):  # type: ignore[no-redef]
            model_config = SettingsConfigDict(toml_file=place)

    try:
        return named(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        unknown = first["type"] == "extra_forbidden"
        what = "There is no setting" if unknown else "The setting"
        says = ": docs/service.md lists them" if unknown else f" is {first['input']!r:.80}: {first['msg']}"
        raise SerkitError(f"{what} {name!r}{says}.") from None
    except ValueError as error:
        raise SerkitError(f"'{config}' is not a TOML file of settings ({error}).") from None
