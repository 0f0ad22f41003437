"""Who may ask the service, how often, from which pages; what is logged; what may be set."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import socket
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from serkit.errors import SerkitError
from serkit.service.keys import Keys, Rates, new_key
from serkit.service.logs import Lines
from serkit.service.settings import PREFIX, Settings, load_settings
from tests.conftest import Ser, voice
from tests.service_app import problem, served, wav
from tests.tiny_models import write_tiny

DATA = wav(voice(1, 1, seconds=0.3))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access") / "tiny"
    write_tiny(folder)
    return folder


def test_a_key_is_needed_and_may_be_revoked(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    (ann, ann_line), (bob, bob_line) = new_key("ann"), new_key("bob")
    file.write_text(f"# people\n{ann_line}\n\n{bob_line}\n")
    with served(model, keys_file=file) as client:

        def status(key: str | None, name: str = "Authorization", kind: str = "Bearer ") -> int:
            headers = {} if key is None else {name: f"{kind}{key}"}
            return int(client.post("/v1/predict", content=DATA, headers=headers).status_code)

        assert (status(ann), status(bob), status(ann, "X-API-Key", "")) == (200, 200, 200)
        assert (status(None), status("wrong"), status(ann_line), status(ann, kind="Basic ")) == (401, 401, 401, 401)
        answer = client.get("/v1/models")
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
        problem(client.get("/metrics"), 401)
        problem(client.get("/nothing"), 401)
        assert client.get("/health/ready").status_code == 200
        file.write_text(ann_line)
        client.app.state.serkit.keys.look(now=True)  # type: ignore[attr-defined]
        assert (status(ann), status(bob)) == (200, 401)
        file.write_text("nonsense")
        client.app.state.serkit.keys.look(now=True)  # type: ignore[attr-defined]
        assert (status(ann), status(bob)) == (200, 401)


def test_a_file_of_keys_that_changes_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serkit.service.keys._LOOK", 0.0)
    file = tmp_path / "keys"
    (ann, first), (bob, second) = new_key("ann"), new_key("bob")
    file.write_text(first)
    keys = Keys([], file)
    assert (keys.name_of(ann), keys.name_of(bob)) == ("ann", None)
    file.write_text(second + "\n# changed\n")
    assert (keys.name_of(ann), keys.name_of(bob)) == (None, "bob")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no key"),
        ("ann:secret", "Key 1 is not name:SHA-256"),
        (f"ann:{'0' * 64}\nann:{'1' * 64}", "there twice"),
        (f"ann:{'0' * 64}\nbob:{'0' * 64}", "there twice"),
    ],
)
def test_a_wrong_file_of_keys_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(SerkitError, match=says):
        Keys([], tmp_path / "keys")
    with pytest.raises(SerkitError, match="cannot be read"):
        Keys([], tmp_path / "none")


def test_new_keys_by_command(ser: Ser) -> None:
    code, out, _ = ser("serve", "--new-key", "ann")
    found = re.fullmatch(r"key   (\S{43})\nline  ann:([0-9a-f]{64})\n", out)
    assert code == 0
    assert found
    assert hashlib.sha256(found[1].encode()).hexdigest() == found[2]
    assert ser("serve", "--new-key", "an:n")[0] == 2


def test_a_rate_belongs_to_a_key(model: Path) -> None:
    (ann, first), (bob, second) = new_key("ann"), new_key("bob")
    with served(model, keys=[first, second], rate_per_minute=0.001, rate_burst=2) as client:
        answers = [client.post("/v1/predict", content=DATA, headers={"X-API-Key": ann}) for _ in range(3)]
        assert [one.status_code for one in answers[:2]] == [200, 200]
        problem(answers[2], 429)
        assert int(answers[2].headers["retry-after"]) > 1000
        assert client.post("/v1/predict", content=DATA, headers={"X-API-Key": bob}).status_code == 200
        assert client.get("/health/live").status_code == 200


def test_a_bucket_fills_at_its_rate() -> None:
    rates = Rates(120, 3)
    assert [rates.wait("a", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert rates.wait("a", 0.25) == pytest.approx(0.25)
    assert [rates.wait("a", at) for at in (0.5, 0.5, 100, 100, 100, 100)] == pytest.approx([0, 0.5, 0, 0, 0, 0.5])
    assert Rates(0, 1).wait("a") == Rates(0, 1).wait("a") == 0


def test_pages_of_listed_origins_may_ask(model: Path) -> None:
    with served(model, cors=["https://example.org"]) as client:
        asks = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
        assert client.options("/v1/predict", headers=asks).headers["access-control-allow-origin"] == asks["Origin"]
        answer = client.post("/v1/predict", content=b"", headers={"Origin": "https://example.org"})
        assert answer.status_code == 422
        assert answer.headers["access-control-allow-origin"] == "https://example.org"  # also of errors
        other = client.post("/v1/predict", content=DATA, headers={"Origin": "https://example.com"})
        assert "access-control-allow-origin" not in other.headers


def test_the_log_says_what_happened_but_no_names(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("serkit.service")
    with caplog.at_level("INFO", "serkit.service"), served(model) as client:
        logger.propagate = True
        client.post("/v1/predict?labels=secret", files={"file": ("secret.wav", DATA)}, headers={"X-Request-ID": "n-1"})
        client.get("/secret.wav")
    lines = [json.loads(Lines().format(record)) for record in caplog.records if record.name == "serkit.service"]
    found = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in found] == [
        ("POST", "/v1/predict", 422),
        ("GET", "none", 404),
    ]
    assert found[0]["request"] == "n-1"
    assert found[0]["bytes"] > len(DATA)
    assert "secret" not in caplog.text
    assert "secret" not in json.dumps(lines)


# ------------------------------------------------------------------------------------------------------ settings


def test_settings_come_from_arguments_then_environment_then_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('port = 1\nqueue = 2\nmax_files = 3\nmodels = ["fast", "open"]\n')
    monkeypatch.setenv("SERKIT_SERVE_QUEUE", "20")
    monkeypatch.setenv("SERKIT_SERVE_PORT", "10")
    monkeypatch.setenv("SERKIT_SERVE_CORS", "https://a.org, https://b.org")
    found = load_settings(file, port=100, host=None)
    assert (found.port, found.queue, found.max_files, found.host) == (100, 20, 3, "127.0.0.1")
    assert found.models == ["fast", "open"]
    assert found.cors == ["https://a.org", "https://b.org"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour = 1", "There is no setting 'colour'"),
        ("port = 70000", "The setting 'port' is 70000"),
        ("port = ", "is not a TOML file"),
    ],
)
def test_wrong_settings_are_wrong_usage(tmp_path: Path, ser: Ser, text: str, says: str) -> None:
    (tmp_path / "serve.toml").write_text(text)
    code, _, err = ser("serve", "--config", tmp_path / "serve.toml")
    assert code == 2
    assert says in err


def test_no_such_model_or_file_is_wrong_usage(ser: Ser, tmp_path: Path, model: Path) -> None:
    code, _, err = ser("serve", "-m", "defalt")
    assert code == 2
    assert "No model 'defalt'" in err
    assert ser("serve", "--config", tmp_path / "none.toml")[0] == 2
    assert ser("serve", "-m", model, "--keys", tmp_path / "none")[0] == 2
    (tmp_path / "no.pem").write_text("nothing")
    for words in (["--tls-certificate", tmp_path / "none.pem"], ["--tls-certificate", tmp_path / "no.pem"]):
        code, _, err = ser("serve", "-m", model, *words, "--port", 0)
        assert code == 2
        assert "Cannot serve HTTPS" in err
    assert ser("serve", "-m", model, "--tls-key", tmp_path / "no.pem", "--port", 0)[0] == 2
    write_tiny(tmp_path / "broken")
    (tmp_path / "broken" / "model.onnx").write_bytes(b"nothing")
    assert ser("serve", "-m", tmp_path / "broken", "--port", 0)[0] == 2
    assert ser("serve", "-m", model, "-m", model)[0] == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = ser("serve", "-m", model, "--port", taken.getsockname()[1])
    assert code == 2
    assert "choose others with --port and --host" in err


def test_the_page_has_every_setting_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    docs = Path(__file__).parents[1] / "docs"
    monkeypatch.syspath_prepend(str(docs))
    from build import settings

    page = (docs / "service.md").read_text(encoding="utf-8")
    assert settings() in page, "make docs writes it"
    assert PREFIX in page
    assert len(re.findall(r"^\| `\w+` \|", settings(), re.MULTILINE)) == len(Settings.model_fields)
