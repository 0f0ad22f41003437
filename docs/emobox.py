"""The table of docs/yardstick.md: what EmoBox published for RAVDESS beside serkit, from docs/scores."""

from __future__ import annotations

from score_tables import SCORES, Scores, table, uar

#: UA in % of frozen encoders with a small classifier, on the six folds of RAVDESS' speech (Ma et al., 2024).
PUBLISHED = {
    "wav2vec2-base": 54.3,
    "WavLM-base": 61.6,
    "data2vec2-base": 64.7,
    "HuBERT-base": 65.4,
    "HuBERT-large": 70.0,
    "data2vec2-large": 71.2,
    "WavLM-large": 72.0,
    "Whisper-large-v3": 75.3,
}
_SOURCE = "EmoBox, [arXiv:2406.07162](https://arxiv.org/abs/2406.07162)"


def emobox() -> str:
    """Return the table, the best last."""
    rows = [(value, [name, f"{value:.1f}", _SOURCE]) for name, value in PUBLISHED.items()]
    found = [document["metrics"] for document in Scores(SCORES).of("default", "emobox", "ravdess")]
    if found:
        mean = 100 * sum(metrics["uar"] for metrics in found) / len(found)
        rows.append((mean, ["serkit `default`", uar(found), "docs/scores, `make scores`"]))
    return table(["encoder", "UA (= UAR), %", "source"], [row for _, row in sorted(rows, key=lambda pair: pair[0])])
