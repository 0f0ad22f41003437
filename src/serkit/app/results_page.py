"""The page of results: every recipe under every protocol, measured by ``ser compare``, and the effect of a leak."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from serkit.app import charts
from serkit.app.words import GREY, line, plain
from serkit.bundle import Manifest, packaged, read_bundle
from serkit.recognition.recognizer import Recognizer

__all__ = ["MEANINGS", "SYSTEMS", "document", "partial", "picture", "scores", "shipped", "show", "story"]


#: What each protocol measures, the most important first.
MEANINGS = {
    "speaker": "a new voice: whole speakers are held out",
    "speaker+enrolled": "a new voice, after enrolling with some of its own unlabelled clips",
    "leave-one-speaker-out": "a new voice: each speaker is held out once",
    "corpus": "other people, rooms and ways of labelling: each corpus is held out once",
    "corpus+adapted": "other people and rooms, after hearing some of their unlabelled clips",
    "emobox": "a new voice, on the folds that EmoBox published",
    "random": "known voices: clips are held out at random",
    "augmented-random": "leaks on purpose: altered copies of the test clips are in training",
}

#: The published systems whose recipes are in the table, a line each.
SYSTEMS = {
    "S0": "nine kinds of features as mean and deviation over a clip, with forests, boosting and dense networks",
    "S1": "MFCC, chroma and mel means of a clip, balanced by SMOTE, with a forest, XGBoost and a small network",
    "S2": "zero crossings, loudness and MFCC over time, four altered copies of each clip, a one-dimensional CNN",
    "S3": "as S2 with five kinds of copies and a larger CNN; its 93.93 % is the leak that this page explains",
    "S4": "MFCC, chroma and spectral contrast over time, a CNN with a bidirectional LSTM",
}

_LEAKS = "augmented-random"
#: Of these, one fold of five is the whole plan: the 80/20 split that the systems used.
_ONE_FOLD = ("random", _LEAKS)
#: Colour and shape, as in the picture in docs/results.md; both differ, so either one identifies the protocol.
_MARKS = {
    "augmented-random": ("#d55e00", "x"),
    "random": ("#e69f00", "diamond"),
    "speaker+enrolled": ("#009e73", "square"),
    "speaker": ("#0072b2", "circle"),
    "corpus": ("#cc79a7", "square"),
    "corpus+adapted": ("#cc79a7", "square-open"),
    "emobox": ("#56b4e9", "triangle-up"),
}


def show(model: str, recognizer: Recognizer) -> None:
    """Draw the page; it is the same for all models."""
    found = document()
    st.header("One recipe, three scores")
    for sentence in story(found):
        st.markdown(plain(sentence))
    charts.draw(picture(found), "results picture")
    st.caption(
        "Accuracy in %: one mark per protocol, a ring for what a system's authors reported, a dashed line at chance. "
        "The bar behind a disc is its 95 % interval over speakers."
    )
    measured = {row["protocol"] for row in found["rows"]}
    measured |= {protocol for manifest in shipped().values() for protocol in manifest.scores}
    protocols = [protocol for protocol in MEANINGS if protocol in measured]
    protocol = st.selectbox("Protocol", protocols, key="results protocol")
    st.caption(plain(f"{protocol}: {MEANINGS[protocol]}."))
    for warning in sorted({row["warning"] for row in found["rows"] if row["protocol"] == protocol} - {None}):
        st.warning(plain(f"Not a result: {warning}"), icon=":material/warning:")
    table = scores(found, protocol, shipped())
    st.dataframe(
        table,
        column_config={
            name: st.column_config.NumberColumn(format="%.1f") for name in ("accuracy", "from", "to", "UAR")
        },
        hide_index=True,
        width="stretch",
        height=38 + 35 * len(table["recipe"]),
        key="results table",
    )
    runs = len(found["cells"])
    made = (
        f"{runs} runs of ser compare on {found['corpus']}, {found['date'][:10]}. In %; from, to: 95 % interval. Only "
        "rows of the same corpus can be compared."
    )
    if any("◐" in name for name in table["recipe"]):
        made += " ◐: a part of the folds or of the training was run; the whole gives other numbers."
    st.caption(plain(made))
    st.header("The systems")
    st.markdown("\n".join(f"- **{name}**: {plain(says)}." for name, says in SYSTEMS.items()))
    st.caption("Ships: the models that come with serkit, measured on voices that took no part in their training.")


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the results of ``ser compare`` that ship with serkit."""
    file = resources.files("serkit") / "protocol" / "yardstick" / "results.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def story(found: Mapping[str, Any]) -> list[str]:
    """Explain a leak in three sentences, with the numbers of a recipe that has all three; [] if there is none.

    Of several recipes, takes the one that loses most from the leaking protocol to a new voice.

    Examples
    --------
    >>> rows = [{"recipe": "mine", "protocol": p, "accuracy": a}
    ...         for p, a in (("augmented-random", 0.9), ("random", 0.8), ("speaker", 0.6))]
    >>> print(story({"rows": rows})[0])
    The same recipe, mine, scores 90.0 %, 80.0 % or 60.0 %. Only the split of the clips differs.
    """
    table = _by_recipe(found)
    whole = {name: rows for name, rows in table.items() if {_LEAKS, "random", "speaker"} <= set(rows)}
    if not whole:
        return []
    name = max(whole, key=lambda one: whole[one][_LEAKS]["accuracy"] - whole[one]["speaker"]["accuracy"])
    leaked, known, new = (
        f"{100 * whole[name][protocol]['accuracy']:.1f} %" for protocol in (_LEAKS, "random", "speaker")
    )
    return [
        f"The same recipe, {name}, scores {leaked}, {known} or {new}. Only the split of the clips differs.",
        f"⚠ {leaked} is a leak, not a result: altered copies of the test clips were in training. {known} holds for "
        "voices the model knows: clips of every speaker were in training.",
        f"For a voice it has never heard, such as yours, expect {new}.",
    ]


def shipped() -> dict[str, Manifest]:
    """Return the manifests of the models that ship with serkit, the default first."""
    return {name: _manifest(name) for name in sorted(packaged(), key=lambda name: (name != "default", name))}


@lru_cache(maxsize=8)
def _manifest(name: str) -> Manifest:
    return read_bundle(packaged()[name]).manifest


def partial(row: Mapping[str, Any]) -> str | None:
    """Say which part of a row's plan was run; None for all of it.

    Examples
    --------
    >>> partial({"protocol": "speaker", "folds_run": 1, "folds": 5, "reduced": "2 of 20 epochs"})
    '2 of 20 epochs, 1 of 5 folds'
    """
    parts = [row["reduced"]] if row["reduced"] else []
    if row["folds_run"] < row["folds"] and row["protocol"] not in _ONE_FOLD:
        parts.append(f"{row['folds_run']} of {row['folds']} folds")
    return ", ".join(parts) or None


def scores(
    found: Mapping[str, Any], protocol: str, models: Mapping[str, Manifest] | None = None
) -> dict[str, list[Any]]:
    """Return the table of a protocol as columns: the models that ship, then the recipes, best first.

    Scores are in %, with a dash if nothing was reported.
    """
    rows: list[dict[str, Any]] = []
    for name, manifest in (models or {}).items():
        score = manifest.scores.get(protocol)
        if score is not None:
            corpora = manifest.corpus.split("+")
            rows.append(
                {
                    "recipe": name,
                    "system": "ships",
                    "corpus": f"{len(corpora)} corpora" if len(corpora) > 1 else corpora[0],
                    **_numbers(score),
                    "reported": "–",
                    "measured": "all",
                }
            )
    given = [row for row in found["rows"] if row["protocol"] == protocol]
    for row in sorted(given, key=lambda row: row["accuracy"], reverse=True):
        part = partial(row)
        mark = ("⚠ " if protocol == _LEAKS else "") + ("◐ " if part else "")
        rows.append(
            {
                "recipe": mark + row["recipe"],
                "system": row["system"],
                "corpus": found["corpus"],
                **_numbers(row),
                "reported": "–" if row["reported"] is None else f"{100 * row['reported']:.1f}",
                "measured": part or "all",
            }
        )
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {"recipe": []}


def _numbers(score: Mapping[str, Any]) -> dict[str, float]:
    low, high = score["accuracy_interval"]
    return {"accuracy": 100 * score["accuracy"], "from": 100 * low, "to": 100 * high, "UAR": 100 * score["uar"]}


def picture(found: Mapping[str, Any]) -> go.Figure:
    """Draw one line per recipe with one mark per protocol, rings for reported scores and a dashed line at chance."""
    table = _by_recipe(found)
    names = list(table)
    figure = go.Figure()
    for name, rows in table.items():
        shares = [100 * row["accuracy"] for row in rows.values()]
        thin = {"color": line(GREY), "width": 1}
        figure.add_trace(
            go.Scatter(
                x=[min(shares), max(shares)], y=[name] * 2, mode="lines", line=thin, hoverinfo="skip", showlegend=False
            )
        )
        if "speaker" in rows:
            ends = [100 * end for end in rows["speaker"]["accuracy_interval"]]
            bar = {"color": line(_MARKS["speaker"][0]), "width": 8}
            figure.add_trace(
                go.Scatter(
                    x=ends, y=[name] * 2, mode="lines", line=bar, opacity=0.3, hoverinfo="skip", showlegend=False
                )
            )
    for protocol, (hue, symbol) in _MARKS.items():
        those = [(name, rows[protocol]) for name, rows in table.items() if protocol in rows]
        if those:
            figure.add_trace(
                go.Scatter(
                    x=[100 * row["accuracy"] for _, row in those],
                    y=[name for name, _ in those],
                    mode="markers",
                    name=f"⚠ {protocol} (leaks)" if protocol == _LEAKS else protocol,
                    marker={"color": line(hue), "symbol": symbol, "size": 10},
                    text=[f" ◐ {partial(row)}" if partial(row) else "" for _, row in those],
                    hovertemplate="%{y}, " + protocol + ": %{x:.1f} %%{text}<extra></extra>",
                )
            )
    reported = {name: next(iter(rows.values()))["reported"] for name, rows in table.items()}
    told = [name for name in names if reported[name] is not None]
    figure.add_trace(
        go.Scatter(
            x=[100 * reported[name] for name in told],
            y=told,
            mode="markers",
            name="reported",
            marker={"color": line(GREY), "symbol": "circle-open", "size": 15, "line": {"width": 2}},
            hovertemplate="%{y}, reported: %{x:.1f} %<extra></extra>",
        )
    )
    chance = 100 / len(found["rows"][0]["recall"])
    figure.add_vline(x=chance, line={"color": line(GREY), "dash": "dash", "width": 1})
    figure.update_layout(
        height=28 * len(names) + 120,
        margin={"l": 0, "r": 8, "t": 5, "b": 5},
        dragmode=False,
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
    )
    figure.update_xaxes(range=[0, 103], fixedrange=True, zeroline=False, gridcolor="rgba(128,128,128,0.25)")
    figure.update_yaxes(
        autorange="reversed", type="category", categoryarray=names, fixedrange=True, automargin=True, showgrid=False
    )
    return charts.told(figure, f"Accuracy of {len(names)} recipes by protocol. The table below has the numbers.")


def _by_recipe(found: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Recipe -> protocol -> row, in the order of the document."""
    table: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in found["rows"]:
        table.setdefault(row["recipe"], {})[row["protocol"]] = row
    return table
