"""``ser data overlap``: published folds that share speakers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from serkit.cli.extras import need_train

__all__ = ["overlap"]


def overlap(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Fold files in EmoBox's format, such as its data/cremad.")
    ],
    speaker: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Finds the speaker in a clip's path, by the groups in parentheses. Default: by the names of the "
            "published corpora that serkit reads.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the folds as JSON.")] = False,
) -> None:
    """Count the speakers who are both in training and in test, in published folds."""
    need_train("Reading fold files")
    from rich.table import Table

    from serkit.protocol.overlap import find_overlap, read_folds, speaker_reader
    from serkit.terminal import console

    folds = read_folds(folder)
    found = find_overlap(folds, speaker_reader(folds, pattern=speaker))
    if as_json:
        print(json.dumps([asdict(row) for row in found], indent=2, ensure_ascii=False))
        return
    table = Table("fold", "training clips", "test clips", "tested speakers", "of them in training", "clips in both")
    for row in found:
        shared = f"{len(row.shared)} of {row.speakers}"
        table.add_row(
            str(row.fold), f"{row.train:,}", f"{row.test:,}", str(row.speakers), shared, str(row.shared_clips)
        )
    console().print(table)
    guilty = [row.fold for row in found if row.shared]
    if guilty:
        where = "every fold" if len(guilty) == len(found) else f"fold {', '.join(map(str, guilty))}"
        print(f"Tested speakers are also in training, in {where}: such a score is not for new voices.")
    else:
        print("No tested speaker is in training.")
