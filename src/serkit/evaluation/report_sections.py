"""The sections of a report as HTML; text from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from serkit.emotions import colour
from serkit.evaluation.metrics import group_values
from serkit.evaluation.plots import NARROW, curves_svg, pct, reliability_svg, risk_coverage_svg, speakers_svg

__all__ = [
    "appendix",
    "classes",
    "confidence",
    "confusion",
    "facts",
    "interval_note",
    "lead",
    "mistakes",
    "tiles",
    "training",
    "voices",
]

#: The most rows of one group.
MOST_ROWS = 30
#: The most rows of the table of mistakes.
MOST_MISTAKES = 15


def _emotion(label: str, labels: Iterable[str]) -> str:
    return f'<span class="dot" style="background:{colour(label, labels)}"></span>{escape(label)}'


def _meter(share: float, shade: str = "") -> str:
    style = f"width:{100 * share:.1f}%{';background:' + shade if shade else ''}"
    return f'<div class="meter"><i><b style="{style}"></b></i><span>{pct(share, unit=False)}</span></div>'


def lead(metrics: Mapping[str, Any], start: str, chance: float) -> str:
    """Return the first sentence: accuracy, UAR with its interval, and chance."""
    n = metrics["n_clips"]
    right = sum(row[k] for k, row in enumerate(metrics["confusion"]))
    low, high = metrics["intervals"]["uar"]
    return (
        f"{start}, the model names the correct one of {len(metrics['labels'])} emotions for <b>{pct(right / n)}</b> of "
        f"the clips ({right:,} of {n:,}). With every emotion weighted equally, it finds <b>{pct(metrics['uar'])}</b> "
        f"(UAR, 95{NARROW}% interval {pct(low, unit=False)} to {pct(high)}); always giving the same answer finds "
        f"{pct(chance)}."
    )


def interval_note(metrics: Mapping[str, Any]) -> str:
    """Explain the intervals and name the classes that the test clips lack."""
    if metrics["interval_unit"] == "speaker":
        note = (
            f"drawing the {metrics['n_speakers']} speakers with replacement {metrics['n_boot']:,} times: "
            "they show how far the score would move with other speakers."
        )
    else:
        note = (
            "drawing clips with replacement, because fewer than two speakers are known. Clips of one voice resemble "
            "each other, so the true uncertainty is larger."
        )
    absent = ""
    if metrics["missing_classes"]:
        missing = escape(", ".join(metrics["missing_classes"]))
        absent = f" The test clips have no {missing}; UAR and macro F1 average over the other classes."
    return f" Intervals come from the bootstrap, {note}{absent}"


def tiles(metrics: Mapping[str, Any], chance: float) -> str:
    """Return the headline scores with their intervals on a scale from 0 to 1."""
    parts = []
    for name, key in (("Unweighted average recall (UAR)", "uar"), ("Accuracy", "accuracy"), ("Macro F1", "f1_macro")):
        low, high = metrics["intervals"][key]
        guess = f'<u style="left:{100 * chance:.1f}%" title="chance"></u>' if key == "uar" else ""
        parts.append(
            f'<div class="tile{" main" if key == "uar" else ""}"><div class="name">{name}</div>'
            f'<div class="value">{pct(metrics[key])}</div><div class="scale" aria-hidden="true">{guess}'
            f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
            f'<b style="left:{100 * metrics[key]:.1f}%"></b></div>'
            f'<div class="range">{pct(low, unit=False)} to {pct(high)}</div></div>'
        )
    parts.append(
        f'<div class="tile"><div class="name">Calibration error</div><div class="value">{pct(metrics["ece"])}</div>'
        f'<div class="scale" aria-hidden="true"><b style="left:{100 * metrics["ece"]:.1f}%"></b></div>'
        f'<div class="range">ECE, 15 bins; 0 is ideal</div></div>'
    )
    return f'<section class="tiles" aria-label="Headline scores">{"".join(parts)}</section>'


def facts(results: Mapping[str, Any]) -> str:
    """Return facts about the run: clips, speakers, folds, seed, hashes, date, time."""
    metrics, time = results["metrics"], results["time"]
    short = {key: (str(results[key])[:12] if results[key] else None) for key in ("split_hash", "recipe_hash")}
    shown = {
        "Clips": f"{metrics['n_clips']:,}",
        "Speakers": metrics["n_speakers"],
        "Folds": _folds(results),
        "Seed": results["seed"],
        "Split hash": short["split_hash"],
        "Recipe hash": short["recipe_hash"],
        "Date": results["date"].replace("T", " ").replace("+00:00", " UTC"),
        "Time": ", ".join(f"{stage} {seconds:,.0f} s" for stage, seconds in time.items()) if time else None,
    }
    return f'<dl class="facts">{_definitions(shown)}</dl>'


def _folds(results: Mapping[str, Any]) -> str | int | None:
    """Return how many folds were run, and which if not all."""
    folds, chosen = results["folds"], results.get("folds_run")
    if chosen is None or len(chosen) == folds:
        return folds
    return f"{len(chosen)} of {folds} ({', '.join(map(str, chosen))})"


def choices(results: Mapping[str, Any]) -> str:
    """Return what a search or ``best_of`` chose in each fold; empty if there was no choice."""
    found = results.get("choices")
    if not found:
        return ""
    rows = ""
    for fold, choice in zip(results["folds_run"], found, strict=True):
        params = ", ".join(f"{name} = {value}" for name, value in choice.get("params", {}).items())
        what = " with ".join(escape(text) for text in (choice.get("chosen", ""), params) if text)
        uar = choice["uar"][choice["chosen"]] if "chosen" in choice else choice["uar"]
        rows += f'<tr><th scope="row">{fold}</th><td>{what}</td><td>{pct(uar, unit=False)}</td></tr>'
    return (
        '<section class="card"><h2>What was chosen</h2><div class="scroll"><table><thead><tr><th>fold</th>'
        f"<th>choice</th><th>its UAR there, %</th></tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="note-text" style="margin:10px 0 0">Chosen without the test clips: by cross-validation inside the '
        "training clips, or on the validation clips.</p></section>"
    )


def classes(metrics: Mapping[str, Any]) -> str:
    """Return the table of scores by emotion."""
    rows, labels = "", list(metrics["per_class"])
    for label, row in metrics["per_class"].items():
        recall = "–" if row["recall"] is None else _meter(row["recall"], colour(label, labels))
        rows += (
            f'<tr><th scope="row">{_emotion(label, labels)}</th><td>{recall}</td>'
            f"<td>{pct(row['precision'], unit=False)}</td>"
            f"<td>{pct(row['f1'], unit=False)}</td><td>{row['support']:,}</td>"
            f'<td class="dim rest">{pct(row["accuracy"], unit=False)}</td></tr>'
        )
    return (
        '<section class="card"><h2>Emotion by emotion</h2><div class="scroll"><table><thead><tr><th>emotion</th>'
        '<th style="width:34%">recall, %</th><th>precision, %</th><th>F1, %</th><th>clips</th>'
        f'<th class="rest">one against<br>the rest, %</th></tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="note-text" style="margin:10px 0 0">Recall: how many clips of an emotion are found. Precision: how '
        'many answers of an emotion are correct. <span class="rest">One against the rest is an optimistic accuracy, '
        "because most clips have other emotions; it is given because some papers report it.</span></p></section>"
    )


def confusion(metrics: Mapping[str, Any]) -> str:
    """Return the confusion matrix as a heat map, with the largest mistakes in words."""
    labels, counts = metrics["labels"], metrics["confusion"]
    body, mixed = "", []
    for truth, row in zip(labels, counts, strict=True):
        total = sum(row)
        cells = ""
        for answer, n in zip(labels, row, strict=True):
            share = n / total if total else 0.0
            css = "none" if not n else "deep" if share > 0.65 else ""
            cells += (
                f'<td class="{css}" style="--v:{share:.3f}" title="{escape(truth)} recognised as {escape(answer)}: '
                f'{n} of {total}">{f"{100 * share:.0f}" if n else ""}<small>{n}</small></td>'
            )
            if n > 1 and truth != answer:
                mixed.append((share, truth, answer))
        body += f'<tr><th scope="row">{_emotion(truth, labels)}</th>{cells}</tr>'
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in labels)
    worst = [
        f"{escape(truth)} recognised as {escape(answer)} ({100 * share:.0f}{NARROW}% of the {escape(truth)} clips)"
        for share, truth, answer in sorted(mixed, reverse=True)[:3]
    ]
    sentence = f"Most often: {', '.join(worst)}." if worst else "No two emotions are confused more than once."
    return (
        f'<section class="card"><h2>Which emotions are confused</h2><p class="sub">{sentence}</p>'
        f'<div class="scroll"><table class="matrix" aria-label="Confusion matrix, rows truth, columns prediction">'
        f'<thead><tr><th class="corner">truth ↓<br>answer →</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        '<p class="note-text" style="margin:8px 0 0">Large: percent of the row, so the diagonal is the recall. Small: '
        "number of clips.</p></section>"
    )


def confidence(metrics: Mapping[str, Any]) -> str:
    """Reliability diagram and risk-coverage curve."""
    excess = metrics["mean_confidence"] - metrics["accuracy"]
    means = f"mean confidence {pct(metrics['mean_confidence'])}, accuracy {pct(metrics['accuracy'])}"
    if abs(excess) < 0.02:
        verdict = f"On average, its confidence is accurate: {means}."
    else:
        verdict = f"It is {'over' if excess > 0 else 'under'}-confident by {100 * abs(excess):.1f} points: {means}."
    return (
        f'<section class="card"><h2>Can its confidence be trusted?</h2><p class="sub">{verdict} Log loss '
        f"{metrics['log_loss']:.3f}, Brier score {metrics['brier']:.3f}.</p>"
        f'<div class="two"><figure><h3>Reliability</h3>{reliability_svg(metrics)}<figcaption>Thick marks: share of '
        "correct answers at each confidence; on the dashed line the confidence is exact. Orange: the gap, whose "
        "average "
        "over the clips is the expected calibration error (Guo et al., 2017). Grey: number of clips."
        "</figcaption></figure>"
        f"<figure><h3>Keeping only the most confident answers</h3>{risk_coverage_svg(metrics)}<figcaption>Sort the "
        "clips by "
        "confidence and keep the upper part: the curve shows how many of these answers are correct. The more "
        "confident half reaches "
        f"{pct(metrics['accuracy_surest_half'])}.</figcaption></figure></div></section>"
    )


def voices(metrics: Mapping[str, Any], predictions: pd.DataFrame) -> str:
    """Return accuracy by speaker and the tables by group; empty if all clips are in one group."""
    speakers = {name: row for name, row in metrics["groups"]["speaker"].items() if name != "unknown"}
    figure = ""
    if len(speakers) > 1:
        names, codes = group_values(predictions, "speaker")
        sexes, sex_codes = group_values(predictions, "sex")
        sex = {names[code]: sexes[of] for code, of in zip(codes, sex_codes, strict=True)}
        over = metrics["spread"]["speaker"]
        both = '<i class="key f"></i>female<i class="key m"></i>male. ' if {"female", "male"} & set(sexes) else ""
        figure = (
            f"<figure><h3>Speaker by speaker</h3>{speakers_svg(speakers, over['accuracy_mean'], sex)}<figcaption>{both}"
            f"Accuracy {pct(over['accuracy_mean'])} on average, with a standard deviation of "
            f"{100 * over['accuracy_sd']:.1f} points over speakers. The bars are 95{NARROW}% intervals for the number "
            "of clips of each speaker (Wilson, 1927).</figcaption></figure>"
        )
    names_of = {"sex": "Sex", "channel": "Channel", "intensity": "Intensity", "statement": "Statement"}
    bodies = ""
    for column, name in {**names_of, "corpus": "Corpus", "fold": "Fold"}.items():
        group = metrics["groups"][column]
        if len(group) < 2:
            continue
        bodies += f'<tbody><tr class="group"><th colspan="4" scope="colgroup">{name}</th></tr>'
        for value, row in list(group.items())[:MOST_ROWS]:
            partial = f'<span class="dim">({row["classes"]})</span> ' if row["classes"] < _present(metrics) else ""
            bodies += (
                f'<tr><th scope="row">{escape(value)}</th><td>{_meter(row["accuracy"])}</td>'
                f"<td>{partial}{pct(row['uar'], unit=False)}</td><td>{row['n']:,}</td></tr>"
            )
        if len(group) > MOST_ROWS:
            rest = len(group) - MOST_ROWS
            bodies += f'<tr><td colspan="4" class="dim">and {rest} more in results.json</td></tr>'
        bodies += "</tbody>"
    table = ""
    if bodies:
        table = (
            '<div><h3>Group by group</h3><div class="scroll"><table><thead><tr><th></th>'
            '<th style="width:42%">accuracy, %</th><th>UAR, %</th><th>clips</th></tr></thead>'
            f'{bodies}</table></div><p class="note-text" '
            'style="margin:8px 0 0">UAR is over the emotions in a group. If a group has fewer emotions, their '
            "number is in brackets and its UAR cannot be compared with the others.</p></div>"
        )
    if not figure and not table:
        return ""
    return f'<section class="card"><h2>For whom it works</h2><div class="two">{figure}{table}</div></section>'


def training(curves: Sequence[Mapping[str, Sequence[float | None]]]) -> str:
    """Return the training curves; empty if there are none."""
    figures = ""
    for kind, name in (("loss", "Loss"), ("uar", "UAR")):
        svg = curves_svg(curves, kind)
        if svg:
            figures += f"<figure><h3>{name}</h3>{svg}</figure>"
    if not figures:
        return ""
    return (
        '<section class="card"><h2>How training went</h2><p class="sub">One colour per fold; validation solid, '
        "training "
        f'dashed.</p><div class="two">{figures}</div></section>'
    )


def mistakes(predictions: pd.DataFrame, labels: Sequence[str]) -> str:
    """Return the wrong answers with the highest confidence."""
    wrong = predictions[predictions["emotion"].astype(str) != predictions["predicted"].astype(str)]
    worst = wrong.sort_values(["confidence", "path", "start"], ascending=[False, True, True]).head(MOST_MISTAKES)
    if not len(worst):
        return ""
    rows = ""
    several = predictions.duplicated(["path", "copy"], keep=False).any()
    for row in worst.to_dict("records"):
        clip = escape(str(row["path"]))
        if several:
            clip += f" {row['start']:g}–{row['end']:g}{NARROW}s"
        if row["copy"]:
            clip += f" (copy {row['copy']})"
        truth, said = (_emotion(str(row[name]), labels) for name in ("emotion", "predicted"))
        rows += (
            f'<tr><td><code>{clip}</code></td><td class="left">{truth}</td>'
            f'<td class="left">{said}</td><td>{pct(row["confidence"], unit=False)}</td></tr>'
        )
    return (
        '<section class="card"><h2>Most confident mistakes</h2><p class="sub">Worth listening to: wrong labels, odd '
        "recordings and real weaknesses show up here first.</p>"
        '<div class="scroll"><table class="mistakes"><thead><tr><th>clip</th><th class="left">truth</th>'
        f'<th class="left">answer</th><th>confidence, %</th></tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def appendix(results: Mapping[str, Any]) -> str:
    """Return recipe, environment and hashes, collapsed."""
    hashes = {"Split hash": results["split_hash"], "Recipe hash": results["recipe_hash"]}
    parts = ""
    if results["recipe_text"]:
        recipe = escape(str(results["recipe_text"]).strip())
        parts += f"<details><summary>The recipe</summary><pre>{recipe}</pre></details>"
    for title, shown in (("The environment", results["environment"] or {}), ("The full hashes", hashes)):
        rows = _definitions(shown)
        if rows:
            parts += f'<details><summary>{title}</summary><dl class="facts">{rows}</dl></details>'
    return f'<section class="card"><h2>How to reproduce it</h2>{parts}</section>' if parts else ""


def _definitions(shown: Mapping[str, Any]) -> str:
    """Return terms with their values, without those that are None."""
    return "".join(
        f"<div><dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in shown.items()
        if value is not None
    )


def _present(metrics: Mapping[str, Any]) -> int:
    """Return the number of labels in the truth."""
    return len(metrics["labels"]) - len(metrics["missing_classes"])
