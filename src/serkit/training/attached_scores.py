"""Scores of a recipe in the manifest and the card of its bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.bundle import Bundle, Manifest, write_bundle
from serkit.bundle.clips import CLIPS, pack_clips
from serkit.errors import BundleError, TrainingError
from serkit.evaluation.left_out import headline
from serkit.training import fitting, split_rows
from serkit.training.card import licence, model_card
from serkit.training.recipe_files import parse_recipe

if TYPE_CHECKING:
    from serkit.corpora import Corpus
    from serkit.training.recipe import Recipe

__all__ = ["attach_scores", "check_attachable", "check_scores", "write_scored"]


def attach_scores(
    bundle: Bundle, corpus: Corpus, out: str | os.PathLike[str], *, scores: Sequence[Mapping[str, Any]]
) -> Bundle:
    """Write ``bundle`` again with other scores in its manifest and card; the graph stays as it is.

    Parameters
    ----------
    bundle : Bundle
        What :func:`export_bundle` wrote.
    corpus : Corpus
        The corpus that it was trained on; the card describes it.
    out : path
        Folder; may be the bundle's own, which is then replaced. Other bundles are never replaced.
    scores : sequence of dict
        Contents of results.json files, one per protocol, of the bundle's own recipe.

    Raises
    ------
    TrainingError
        If a score belongs to another recipe, or two have the same protocol.
    BundleError
        If the bundle was trained on another corpus, other labels or another number of recordings.
    """
    check_attachable(bundle)
    recipe = parse_recipe(bundle.manifest.recipe, source=f"of {bundle.path}")
    if bundle.manifest.corpus != corpus.name:
        raise BundleError(
            f"{bundle.path} was trained on the corpus {bundle.manifest.corpus!r}, got {corpus.name!r}: give its own."
        )
    heard = split_rows.trainable(corpus, recipe)
    labels, clips = fitting.corpus_labels(heard), pack_clips(heard.table["audio_hash"])
    if set(labels) != set(bundle.manifest.labels):
        raise BundleError(
            f"{bundle.path} answers {', '.join(bundle.manifest.labels)}, and these recordings have "
            f"{', '.join(labels)}: give the --drop and --label-map that it was trained with."
        )
    rated = bool(bundle.manifest.dimensions)  # clips without a rating took no part, and only --target tells these
    if bundle.clips is not None and len(clips) != len(bundle.clips) and not rated:
        one = len(pack_clips(heard.table["audio_hash"].head(1)))
        raise BundleError(
            f"{bundle.path} was trained on {len(bundle.clips) // one:,} different recordings, and these are "
            f"{len(clips) // one:,}: give the --channel, --drop and --skip-broken that it was trained with."
        )
    by_protocol = check_scores(scores, recipe, corpus)
    own = Path(out).resolve() == bundle.path.resolve()
    numbers = {name: score["dimensions"] for name, score in bundle.manifest.scores.items() if "dimensions" in score}
    parts = bundle.onnx, bundle.manifest, recipe, corpus, by_protocol, bundle.clips
    return write_scored(out, *parts, numbers=numbers, force=own)


def check_attachable(bundle: Bundle) -> None:
    """Raise BundleError for a bundle of numbers alone: :func:`attach_scores` puts scores of labels on a bundle."""
    if not bundle.manifest.labels:
        raise BundleError(
            f"{bundle.path} answers numbers alone, and its scores come from its training: there is nothing to attach."
        )


def write_scored(
    out: str | os.PathLike[str],
    onnx_bytes: bytes,
    manifest: Manifest,
    recipe: Recipe,
    corpus: Corpus,
    by_protocol: Mapping[str, Mapping[str, Any]],
    clips: bytes | None,
    *,
    numbers: Mapping[str, Mapping[str, Any]],
    force: bool,
) -> Bundle:
    headline = by_protocol.get("speaker") or next(iter(by_protocol.values()), {})
    scores = {protocol: _summary(document) for protocol, document in by_protocol.items()}
    for protocol, dimensions in numbers.items():
        scores[protocol] = {**scores.get(protocol, {}), "dimensions": dimensions}
    manifest = replace(manifest, split_hash=headline.get("split_hash") or "", scores=scores)
    card = model_card(manifest, recipe, corpus, by_protocol)
    extra: dict[str, str | bytes] = {"LICENSE": licence(manifest)}
    if clips is not None:
        extra[CLIPS] = clips
    return write_bundle(out, onnx_bytes=onnx_bytes, manifest=manifest, card=card, extra=extra, force=force)


def check_scores(
    scores: Sequence[Mapping[str, Any]], recipe: Recipe, corpus: Corpus | None = None
) -> dict[str, Mapping[str, Any]]:
    """Results by protocol, after making sure that all are of ``recipe`` and ``corpus`` and no protocol occurs twice."""
    found: dict[str, Mapping[str, Any]] = {}
    for document in scores:
        if document.get("transfer"):
            raise TrainingError(
                f"A results.json is of the protocol '{document['protocol']}': a model carries scores of its recipe "
                "on its own corpus; give a results.json of 'ser evaluate'."
            )
        if document.get("recipe_hash") != recipe.hash:
            raise TrainingError(
                f"A results.json is of the recipe {document.get('recipe')!r} with other contents than {recipe.name!r}: "
                "a model carries only scores of exactly its own recipe; run 'ser evaluate' again."
            )
        measured = str(document["corpus"]).rsplit(" ", 1)[0]  # the name may have blanks
        if corpus is not None and measured != corpus.name:
            raise TrainingError(
                f"A results.json was measured on the corpus {measured}, the model is trained on {corpus.name}: run "
                "'ser evaluate' on the same corpora."
            )
        labels = document.get("metrics", {}).get("labels")
        if corpus is not None and labels is not None and set(labels) != set(corpus.table["emotion"]):
            own = ", ".join(fitting.corpus_labels(corpus))
            raise TrainingError(
                f"A results.json is of the labels {', '.join(labels)}, the model of {own}: run 'ser evaluate' with the "
                "same --drop and --label-map."
            )
        protocol = str(document["protocol"])
        if protocol in found:
            raise TrainingError(f"Two results.json are of the protocol '{protocol}': give one per protocol.")
        found[protocol] = document
    return found


def _summary(document: Mapping[str, Any]) -> dict[str, Any]:
    metrics = headline(document)
    return {
        **{
            key: value
            for score in ("uar", "accuracy")
            for key, value in ((score, metrics[score]), (f"{score}_interval", metrics["intervals"][score]))
        },
        "n_clips": metrics["n_clips"],
        "n_speakers": metrics["n_speakers"],
        "folds": len(document.get("folds_run") or range(document["folds"])),  # older results ran all of them
        "seed": document["seed"],
        "date": document["date"],
        "warning": document["warning"],
        "confusion": metrics["confusion"],
    }
