"""``ser data``: download, check, describe and split a corpus."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from serkit.cli import app
from serkit.cli.extras import need_train, read_to_learn
from serkit.cli.options import DropOption, ForceOption, LabelMapOption, SkipBrokenOption
from serkit.cli.overlap import overlap
from serkit.files import check_new

data_app = typer.Typer(no_args_is_help=True, help="Download, check, describe and split a corpus.")
app.add_typer(data_app, name="data")
data_app.command()(overlap)


class Channel(str, Enum):
    """Which recordings to take."""

    both = "both"
    speech = "speech"
    song = "song"


Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The corpus: a folder, a manifest, or a RAVDESS zip archive.")
]
KindOption = Annotated[
    str | None,
    typer.Option(
        help="A published corpus (ser data list), several joined by +, folders or manifest; recognised if left out."
    ),
]
ChannelOption = Annotated[Channel, typer.Option(help="Which recordings to take.")]


@data_app.command()
def get(
    corpus: Annotated[str, typer.Argument(help="Which corpus: a name of 'ser data list'.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the recordings; created if missing.")],
    channel: ChannelOption = Channel.both,
    mirror: Annotated[
        str | None, typer.Option(metavar="URL", help="Another server's folder with the same archives, or repository.")
    ] = None,
) -> None:
    """Download a corpus as published and verify its checksums; an interrupted download resumes.

    ravdess, crema_d, ased, baved, turev and urdu can be fetched; for the others it says where to get them.
    """
    need_train("Fetching a corpus")
    from serkit.corpora import download
    from serkit.corpora.registry import published
    from serkit.corpora.repositories import fetch_repository
    from serkit.errors import CorpusError, nearest

    if corpus not in published():
        raise CorpusError(f"Unknown corpus {corpus!r}{nearest(corpus, published())} 'ser data list' names all.")
    known = published()[corpus]
    use = "" if known.commercial else ": not for commercial use"
    typer.echo(f"{known.title} is licensed: {known.licence}{use}. Cite:")
    typer.echo(f"{known.citation}\n")
    if not known.archives and known.repository is None:
        raise CorpusError(
            f"serkit cannot fetch {known.title}: get it from {known.source}, unpack it, and give its folder to "
            f"'ser data check DIR --kind {corpus}'."
        )
    if known.repository is not None:
        paths = fetch_repository(known.repository, to, address=mirror)
        typer.echo(f"{to}  {len(paths):,} recordings, checksums correct")
        typer.echo(f"Next: ser data check {to}")
        return
    paths = download.fetch_ravdess(
        to, channel=channel.value, base_url=mirror or download.ZENODO, checksums=download.CHECKSUMS
    )
    for path in paths:
        typer.echo(f"{path}  {path.stat().st_size / 1e6:,.1f} MB, checksum correct")
    typer.echo(f"They can stay zipped. Next: ser data check {to}")


@data_app.command("list")
def list_corpora(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the published corpora that serkit reads, with language, licence and citation."""
    need_train("Reading a corpus")
    import json

    from serkit.corpora.registry import published

    rows = [
        {
            "name": name,
            "title": corpus.title,
            "language": corpus.language,
            "commercial": corpus.commercial,
            "licence": corpus.licence,
            "citation": corpus.citation,
            "labels": list(corpus.labels),
            "clips": corpus.clips or None,
            "speakers": corpus.speakers or None,
            "source": corpus.source,
            "fetched_by_serkit": bool(corpus.archives or corpus.repository),
            "defects": corpus.defects,
        }
        for name, corpus in published().items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        use = "commercial use allowed" if row["commercial"] else "no commercial use"
        where = f"ser data get {row['name']}" if row["fetched_by_serkit"] else row["source"]
        size = f"{row['clips']:,} clips, {row['speakers']:,} speakers" if row["clips"] else "clips not counted"
        typer.echo(f"{row['name']:<15} {row['title']}, {row['language'] or 'several languages'}, {size}: {use}")
        for line in (row["licence"], row["citation"], where):
            typer.echo(f"{'':<15} {line}")
        typer.echo()


@data_app.command()
def describe(
    folder: Folder,
    kind: KindOption = None,
    channel: ChannelOption = Channel.both,
    as_json: Annotated[bool, typer.Option("--json", help="Print the statistics as JSON.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the distributions: .png, .svg or .pdf.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what --plot names if it exists.")] = False,
) -> None:
    """Show the classes, speakers and durations of a corpus."""
    need_train("Reading a corpus")
    import json

    from serkit.corpora import read_corpus
    from serkit.corpora.describe import describe as numbers_of
    from serkit.corpora.describe import plot as draw

    if plot:
        check_new(plot, force=force)
    corpus = read_corpus(folder, kind=kind, channel=channel.value)
    numbers = numbers_of(corpus)
    for note in corpus.notes:
        typer.echo(note, err=True)
    if as_json:
        typer.echo(json.dumps(numbers, indent=2, ensure_ascii=False))
    else:
        _show(numbers)
    if plot:
        draw(corpus, plot)
        typer.echo(f"picture: {plot}", err=as_json)


def _show(numbers: dict[str, Any]) -> None:
    """Print the statistics of a corpus as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from serkit.emotions import colour

    console = Console(highlight=False, markup=False)
    block = "█" if console.encoding.lower().startswith("utf") else "#"
    title = f"{numbers['corpus']}: {numbers['clips']:,} clips, {_duration(numbers['seconds'])}"
    table = Table(title=title, title_justify="left")
    for name in ("emotion", "clips", "share", "", "speakers", "length", "median"):
        table.add_column(name, justify="left" if name in ("emotion", "") else "right")
    most = max(row["clips"] for row in numbers["classes"])
    labels = [row["emotion"] for row in numbers["classes"]]
    for row in numbers["classes"]:
        ink = colour(row["emotion"], labels)
        table.add_row(
            Text(row["emotion"], style=f"bold {ink}"),
            f"{row['clips']:,}",
            f"{row['share']:.1%}",
            Text(block * max(1, round(12 * row["clips"] / most)), style=ink),
            str(row["speakers"]),
            _duration(row["seconds"]),
            f"{row['median_duration']:.2f} s",
        )
    console.print(table)
    clips = [row["clips"] for row in numbers["by_speaker"] if row["speaker"]]
    spread = f", {min(clips):,} to {max(clips):,} clips each" if clips else " known"
    console.print(f"speakers   {numbers['speakers']}{spread}")
    console.print("sex        " + ", ".join(f"{name} {count:,}" for name, count in numbers["by_sex"].items()))
    console.print("channel    " + ", ".join(f"{name} {count:,}" for name, count in numbers["by_channel"].items()))
    console.print("duration   " + ", ".join(f"{name} {value:.2f} s" for name, value in numbers["duration"].items()))
    if numbers["recordings"] < numbers["clips"]:
        console.print(
            f"duplicates {numbers['clips'] - numbers['recordings']} (same sound as another clip; kept together)"
        )
    console.print(f"licence    {numbers['licence']}", soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


@data_app.command()
def check(
    folder: Folder,
    kind: KindOption = None,
    channel: ChannelOption = Channel.both,
    drop: DropOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Show what serkit reads from your recordings, and what would go wrong in training.

    The exit code is 1 if recordings cannot be read.
    """
    need_train("Reading a corpus")
    import json

    from serkit.corpora import read_corpus, recognise
    from serkit.corpora.check import findings
    from serkit.corpora.describe import describe as numbers_of
    from serkit.corpora.known import without_labels

    corpus = read_corpus(folder, kind=kind, channel=channel.value, skip_broken=True)
    if drop is not None:
        corpus = without_labels(corpus, [label.strip() for label in drop.split(",") if label.strip()])
    read_as = kind if kind and "+" in kind else recognise(folder.expanduser(), kind)[1]
    numbers, found = numbers_of(corpus), findings(corpus)
    if as_json:
        document = {"read_as": read_as, **numbers, "findings": found, "broken": list(corpus.broken)}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"Read as {read_as}, from {corpus.root}")
        _show(numbers)
        typer.echo("\nNotes:" if found else "\nNo problems found.")
        for sentence in found:
            typer.echo(f"- {sentence}")
    raise typer.Exit(1 if corpus.broken else 0)


@data_app.command()
def unpack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A data set of Hugging Face, saved by save_to_disk.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="New folder for clips/ and manifest.csv.")],
    column: Annotated[str, typer.Option(help="The column of the recordings.")] = "audio",
    skip_broken: SkipBrokenOption = False,
) -> None:
    """Write the recordings of a saved data set of Hugging Face as files, with a table that describes them."""
    need_train("Reading a corpus")
    from serkit.corpora import from_dataset

    corpus = from_dataset(folder, to, column=column, skip_broken=skip_broken)
    typer.echo(f"{to}: {len(corpus):,} clips and manifest.csv. Next: ser data check {to}")


@data_app.command()
def split(
    folder: Folder,
    out: Annotated[Path, typer.Option(metavar="FILE", help="CSV to write.")],
    protocol: Annotated[
        str,
        typer.Option(
            help="random, speaker, speaker+enrolled, augmented-random, leave-one-speaker-out, corpus, corpus+adapted "
            "or emobox; see docs/protocols.md."
        ),
    ] = "speaker",
    seed: Annotated[int, typer.Option(help="Seed of the assignment.")] = 0,
    n_folds: Annotated[int, typer.Option("--folds", help="Number of folds.")] = 5,
    kind: KindOption = None,
    channel: ChannelOption = Channel.both,
    drop: DropOption = None,
    label_map: LabelMapOption = None,
    skip_broken: SkipBrokenOption = False,
    force: ForceOption = False,
) -> None:
    """Assign the clips to folds, for training, validation and test, and save them with a hash."""
    need_train("Reading a corpus")
    from serkit.errors import ProtocolError
    from serkit.protocol import make_split

    check_new(out, force=force)
    corpus = read_to_learn(folder, kind, channel.value, skip_broken=skip_broken, drop=drop, label_map=label_map)
    made = make_split(corpus, protocol, seed=seed, n_folds=n_folds)
    try:
        made.to_csv(out)
    except OSError as error:
        raise ProtocolError(f"The split {out} cannot be written ({error.strerror or error}).") from None
    counts = made.fold(0)["role"].value_counts()
    roles = ", ".join(
        f"{counts[name]:,} {name}" for name in ("train", "validation", "test", "enrol", "outside") if name in counts
    )
    typer.echo(
        f"{out}: {made.protocol}, seed {made.seed}, {made.n_folds} folds (fold 0: {roles}), hash {made.hash[:12]}"
    )
    if made.warning:
        typer.echo(f"Warning: {made.warning}", err=True)
