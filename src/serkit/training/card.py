"""The model card of a bundle: its training data, its scores, and what it is and is not suitable for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from serkit.bundle import read_bundle
from serkit.corpora.named import LANGUAGES
from serkit.corpora.registry import published
from serkit.corpora.table import voice_names
from serkit.evaluation.left_out import headline
from serkit.protocol import LEAVES_OUT
from serkit.training import split_rows
from serkit.training.recipe_files import parse_recipe

if TYPE_CHECKING:
    from serkit.bundle.manifest import Manifest
    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe

__all__ = ["citation_of", "licence", "licence_of", "model_card"]

_GROUPS = ("corpus", "sex", "channel", "intensity", "statement")
_MOST = 30  # values of a group that a table of the card shows

_INTENDED = """\
Research and teaching on speech emotion recognition, prototypes, and pre-sorting of recordings that people then review.
The model says how an utterance sounds; it does not know what anybody feels.

**Not intended**: decisions about people. No hiring or grading, no policing, border control or credit, no medical or
psychological diagnosis, and no monitoring of people who have not agreed to it. Nothing here supports such use.
"""

_ADAPTATION = """\
Adaptation: the model can adapt to a voice, by 3 to 30 s of it, or to a place, by 20 or more recordings from there; they
need no labels. Its answers are then relative to what is usual for that voice or place. Adapt with speech as varied as
the speech to judge: if all of it is in one mood, that mood becomes the usual one, and the answers get worse.
"""

_NO_SCORES = "This bundle was made without scores. Run `ser evaluate` to measure how good it is."

_LANGUAGES = LANGUAGES | {"en": "North American English"}

_ALL_ACTED = """\
- The voices are actors who play emotions ({languages}). Training included no
  spontaneous speech, other languages or children, and few accents and old voices. Expect lower scores on these.
- Training used one voice close to a microphone in a quiet room.
"""

_SOME_ACTED = """\
- Many of the voices are actors who play emotions: expect lower scores on spontaneous speech.
"""

_FAILURES = """\
- Background noise, music, reverberation, several voices at once and telephone bandwidth lower the score.
- Very short utterances and whispering contain little of what the model relies on.
- Scores differ a lot between speakers: good answers for one voice do not mean good answers for another.
"""


def model_card(manifest: Manifest, recipe: Recipe, corpus: Corpus, scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The card as Markdown; every number in it comes from the table of ``corpus`` or from a results.json."""
    parts = [
        f"# {manifest.name}, version {manifest.version}",
        f"{manifest.description or recipe.description}. {_gives(manifest)}",
        "## Data",
        _data(corpus, recipe),
        "## Scores",
        "\n\n".join(_scores(protocol, document) for protocol, document in scores.items())
        or ("" if manifest.dimensions else _NO_SCORES),
        *_rated(manifest),
        *([f"Calibration: {manifest.calibration}."] if manifest.labels else []),
        *([_ADAPTATION.strip()] if manifest.adaptation else []),
        "## Intended use",
        _INTENDED.strip(),
        "## Known failures",
        _failures(corpus, scores),
        "## Licence",
        licence(manifest).strip(),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _gives(manifest: Manifest) -> str:
    said = [f"It gives one probability for each of: {', '.join(manifest.labels)}."] if manifest.labels else []
    if manifest.dimensions:
        listed = ", ".join(
            f"{name} ({ends['low']:g} to {ends['high']:g})" for name, ends in manifest.dimensions.items()
        )
        said.append(f"It gives a number for each of: {listed}.")
    return " ".join(said)


def _rated(manifest: Manifest) -> list[str]:
    """The scores of the numbers, a table for each protocol."""
    found = []
    for protocol, score in manifest.scores.items():
        if score.get("dimensions"):
            rows = [
                f"| {name} | {row['ccc']:.2f} ({row['ccc_interval'][0]:.2f} to {row['ccc_interval'][1]:.2f}) | "
                f"{row['correlation']:.2f} | {row['rmse']:.3g} | {row['n_clips']} | {row['n_speakers']} |"
                for name, row in score["dimensions"].items()
            ]
            head = "| number | CCC (95 % interval) | correlation | RMSE | clips | speakers |"
            lines = [f"### Numbers, protocol `{protocol}`", "", head, "| --- | --- | --- | --- | --- | --- |", *rows]
            found.append("\n".join(lines))
    return found


def _data(corpus: Corpus, recipe: Recipe) -> str:
    table = split_rows.trainable(corpus, recipe).table
    hours = float((table["end"] - table["start"]).sum()) / 3600
    speakers = len({(c, s) for c, s in zip(table["corpus"], table["speaker"], strict=True) if s})
    counts = Counter(table["emotion"])
    per_label = ", ".join(f"{label} {counts[label]}" for label in sorted(counts, key=lambda k: (-counts[k], k)))
    channels = ", ".join(f"{n} {name}" for name, n in sorted(Counter(table["channel"]).items()))
    people = f"{speakers} speakers" if speakers else "speakers not named"
    all_of = "all" if len(table) == len(corpus) else f"{len(table)} of the"
    unheard = sorted(set(recipe.unheard) & set(voice_names(corpus.table)))
    never = f" It never heard these voices: {', '.join(unheard)}." if unheard else ""
    return (
        f"Trained on {all_of} {len(corpus)} clips of the corpus `{corpus.name}` ({channels}; {people}; {hours:.1f} h)"
        f"{f': {per_label}' if any(counts) else ''}.{never}"
    )


def _scores(protocol: str, document: Mapping[str, Any]) -> str:
    metrics = headline(document)
    folds, chosen = document["folds"], document.get("folds_run")
    run = f"{folds}" if chosen is None or len(chosen) == folds else f"{len(chosen)} of {folds}"
    lines = [
        f"### Protocol `{protocol}`",
        "",
        f"{run} folds, seed {document['seed']}, {metrics['n_clips']} test clips "
        f"({document['corpus']}) of {metrics['n_speakers']} speakers, "
        f"measured {document['date'][:10]} with serkit {document['serkit']}. "
        "These are scores of the recipe: each clip was tested by a model that was not trained on it.",
        "",
    ]
    if document.get("warning"):
        lines += [f"**Warning:** {document['warning']}", ""]
    if protocol in LEAVES_OUT:
        lines += [
            f"Means over the corpora, each tested by a model that was trained on the others.{_adapted(document)}",
            "",
        ]
    if protocol == "emobox":
        lines += ["The folds are EmoBox's (arXiv:2406.07162): RAVDESS' speech, four actors each.", ""]
    if protocol == "random":
        lines += ["Training included the voices of the test clips, so expect lower scores for a new voice.", ""]
    lines += ["| score | value | 95 % interval |", "| --- | --- | --- |"]
    names = (("accuracy", "accuracy"), ("uar", "UAR"), ("f1_macro", "macro F1"), ("f1_weighted", "weighted F1"))
    for key, name in names:
        low, high = metrics["intervals"][key]
        lines.append(f"| {name} | {_percent(metrics[key])} | {_percent(low)} to {_percent(high)} |")
    lines += [
        "",
        f"Intervals by resampling the {metrics['interval_unit']}s. "
        f"Expected calibration error {_percent(metrics['ece'])}.",
    ]
    rows = [
        f"| {group} | {name} | {row['n']} | {_percent(row['accuracy'])} | {_percent(row['uar'])} |"
        for group in _GROUPS
        for name, row in metrics["groups"][group].items()
        if 1 < len(metrics["groups"][group]) <= _MOST
    ]
    spread = metrics["spread"]["speaker"]
    if spread["accuracy_sd"] is not None:
        mean, deviation = _percent(spread["accuracy_mean"]), _percent(spread["accuracy_sd"])
        voices = {name: row["accuracy"] for name, row in metrics["groups"]["speaker"].items() if name != "unknown"}
        if len(voices) > _MOST:
            each = f"{_percent(min(voices.values()))} to {_percent(max(voices.values()))}"
        else:
            each = ", ".join(f"{name} {_percent(value)}" for name, value in voices.items())
        lines += ["", f"Accuracy over speakers: {mean} with a standard deviation of {deviation} ({each})."]
    if rows:
        lines += ["", "| group | value | clips | accuracy | UAR |", "| --- | --- | --- | --- | --- |", *rows]
    return "\n".join(lines)


def _adapted(document: Mapping[str, Any]) -> str:
    counts = document.get("adapted")
    if not counts:
        return ""
    each = ", ".join(f"{name} {n}" for name, n in counts.items())
    return f" It was adapted by unlabelled clips, which are not scored: {each}."


def _failures(corpus: Corpus, scores: Mapping[str, Mapping[str, Any]]) -> str:
    parts = [published().get(name) for name in corpus.name.split("+")]
    acted = [part for part in parts if part is not None and part.acted]
    lines = _FAILURES
    if len(acted) == len(parts):
        languages = sorted({_LANGUAGES[part.language] for part in acted})
        lines = _ALL_ACTED.format(languages=", ".join(languages)) + lines
    elif acted:
        lines = _SOME_ACTED + lines
    document = scores.get("speaker") or next(iter(scores.values()), None)
    if document is not None:
        labels, confusion = document["metrics"]["labels"], document["metrics"]["confusion"]
        shares = sorted(
            (
                (count / sum(row), truth, labels[k])
                for truth, row in zip(labels, confusion, strict=True)
                for k, count in enumerate(row)
                if labels[k] != truth and count
            ),
            reverse=True,
        )
        for share, truth, answer in shares[:3]:
            lines += (
                f"- {_percent(share)} of the {truth} clips were recognised as {answer} (`{document['protocol']}`).\n"
            )
    return lines.strip()


def licence(manifest: Manifest) -> str:
    """Return the licence of the weights and what to cite, for the bundle's LICENSE and the end of the card."""
    text = f"The weights are under the licence of the recordings: {manifest.licence}.\n"
    return f"{text}\nPlease cite: {manifest.citation}\n" if manifest.citation else text


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def citation_of(recipe: Recipe, corpus: Corpus) -> str:
    """What to cite for the recordings, and for the encoder."""
    return " ".join(filter(None, (corpus.citation.replace("unknown", ""), _encoder(recipe).citation)))


def licence_of(recipe: Recipe, corpus: Corpus) -> str:
    """The licences of the recordings, and of the encoder that the bundle contains."""
    text = corpus.licence or "unknown: ask the owner of the recordings"
    name, licence, _ = _encoder(recipe)
    return f"{text}; {name}: {licence}" if licence else text


class _Encoder(NamedTuple):
    name: str
    licence: str
    citation: str


def _encoder(recipe: Recipe) -> _Encoder:
    """What is to be said of the encoder that answers; empty for acoustic features."""
    if recipe.encoder is not None:
        return _Encoder(recipe.encoder.name, recipe.encoder.licence, recipe.encoder.citation)
    if recipe.embedding is not None:
        shipped = parse_recipe(read_bundle(recipe.embedding.model).manifest.recipe).encoder
        if shipped is not None:
            return _Encoder(shipped.name, shipped.licence, shipped.citation)
    return _Encoder("", "", "")
