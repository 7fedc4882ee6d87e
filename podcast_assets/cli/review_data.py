"""`podcast-assets review sample`, `report`, `export`, `import` and `publish`: what reviewers decided, as data."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
    print_line,
)
from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.wording import count_noun

if TYPE_CHECKING:
    from podcast_assets.review.samples import DrawnSample

_FORMATS = click.Choice(["parquet", "jsonl", "label-studio"])


@click.command()
@click.option(
    "--hours", type=click.FloatRange(min=0, min_open=True), default=2.0, show_default=True, help="Audio to draw."
)
@click.option("--name", help="Name of the sample. By default the date.")
@click.option("--batch", "batches", multiple=True, help="Draw from this batch only; may be given several times.")
@click.option("--language", "languages", multiple=True, help="Draw this language only; may be given several times.")
@click.option("--kept", is_flag=True, help="Draw only what the quality policy keeps.")
@json_option("one JSON object")
def sample(
    hours: float,
    name: str | None,
    batches: tuple[str, ...],
    languages: tuple[str, ...],
    kept: bool,
    as_json: bool,
) -> None:
    """Draw a stratified random sample of segments, by language, podcast and score, for the queue `sample`.

    Two reviewers correct each of its segments independently; then `podcast-assets review report` says how many words are wrong.
    """
    from dataclasses import asdict

    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review.samples import draw

    with open_catalog(load_settings()) as engine:
        drawn = draw(engine, hours * 3600, name=name, batches=batches, languages=languages, kept_only=kept)
    if as_json:
        print_json(asdict(drawn))
    else:
        _print_sample(drawn)


def _print_sample(drawn: "DrawnSample") -> None:
    print_line(
        f"sample {drawn.name}: {count_noun(drawn.segments, 'segment')}, {drawn.seconds / 3600:.2f} h, in "
        f"{drawn.strata:,} {'stratum' if drawn.strata == 1 else 'strata'}, of {count_noun(drawn.population, 'segment')}, "
        f"{drawn.population_seconds / 3600:.2f} h. Two reviewers find it in the queue sample."
    )


@click.command()
@click.option("--sample", "name", help="Name of the sample. By default the newest.")
@json_option("one JSON object")
def report(name: str | None, as_json: bool) -> None:
    """Show the word error rate with its 95 % interval, the agreement of reviewers, and figures of each.

    The method is described in docs/guides/review-data.md. The card of the next release has the same figures, without names.
    """
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review.report import make_report

    settings = load_settings()
    with open_catalog(settings) as engine:
        made = make_report(engine, name, settings.review_second_look)
    if as_json:
        print_json(made)
        return
    _print_rates(made)
    _print_agreement(made)
    if made["reviewers"]:
        names = ("reviewer", "items", "decisions", "seconds per item", "texts changed", "agreed")
        table = make_table(*names, numbers=names[1:])
        for row in made["reviewers"]:
            seconds = "" if row["seconds_per_item"] is None else f"{row['seconds_per_item']:.0f}"
            table.add_row(
                Text(row["name"]), f"{row['items']:,}", f"{row['decisions']:,}", seconds,
                _percent(row["texts_changed"]), _percent(row["agreed"]),
            )  # fmt: skip
        output.print(table)


def _print_rates(made: Mapping[str, Any]) -> None:
    if made["sample"] is None:
        print_line("no sample was drawn, so no error rate is known: podcast-assets review sample --hours 2")
        return
    print_line(
        f"sample {made['sample']}: {made['segments_reviewed_twice']:,} of {count_noun(made['segments_sampled'], 'segment')} were "
        f"reviewed twice ({made['seconds_reviewed'] / 3600:.2f} h)"
    )
    if made["segments_disputed"]:
        count = count_noun(made["segments_disputed"], "segment")
        print_line(
            (f"{count} where the two disagree wait for an adjudicator; the mean of both counts until then", "yellow")
        )
    if not made["segments_reviewed_twice"]:
        return
    table = make_table(
        "words", "error rate", "95 % interval", "segments", numbers=("error rate", "95 % interval", "segments")
    )
    for what, rate in (("all", made["word_error_rate"]), *made["by_language"].items()):
        interval = "" if rate["low"] is None else f"{rate['low'] * 100:.1f} to {rate['high'] * 100:.1f} %"
        table.add_row(Text(what), _percent(rate["rate"]), interval, f"{rate['segments']:,}")
    table.add_row(Text("between the two reviewers"), _percent(made["between_reviewers"]), "", "")
    output.print(table)


def _print_agreement(made: Mapping[str, Any]) -> None:
    rows = [
        *(("first and second look", row, row["kappa"]) for row in made["kappas"]),
        *((" and ".join(row["raters"]), row, row["kappa"]) for row in made["pairs"]),
        *(("all, Krippendorff's alpha", row, row["alpha"]) for row in made["alphas"]),
    ]
    if not rows:
        return
    names = ("label", "who", "kappa", "95 % interval", "agreed", "items")
    table = make_table(*names, numbers=names[2:])
    for who, row, value in rows:
        interval = "" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}"
        kappa = "not defined" if value is None else f"{value:.2f}"
        table.add_row(Text(row["label"]), Text(who), kappa, interval, _percent(row["observed"]), f"{row['items']:,}")
    output.print(table)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.1f} %"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--format", "kind", type=_FORMATS, help="Format of the file. By default from its name: .parquet, .jsonl or .json."
)
@click.option("--batch", "batches", multiple=True, help="Only decisions about this batch; may be given several times.")
@click.option("--without-names", is_flag=True, help="Number the reviewers instead of naming them.")
def export(file: Path, kind: str | None, batches: tuple[str, ...], without_names: bool) -> None:
    """Write all decisions to a FILE: parquet, JSON lines, or tasks of Label Studio. `-` is the standard output."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review.exchange import export_decisions

    chosen = _choose_format(file, kind)
    with open_catalog(load_settings()) as engine, click.open_file(str(file), "wb", atomic=str(file) != "-") as out:
        count = export_decisions(engine, out, chosen, batches=batches, reviewers=not without_names)
    print_line(f"{count_noun(count, 'decision')} written to {file}")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--format", "kind", type=_FORMATS, help="Format of the file. By default from its name: .jsonl or .json.")
def import_(file: Path, kind: str | None) -> None:
    """Add the decisions of a FILE: JSON lines that `export` wrote, or an export of Label Studio (JSON).

    Importing a file again adds nothing. Decisions about what the catalog does not have are counted and left out.
    """
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review.exchange import import_decisions

    chosen = _choose_format(file, kind)
    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    with open_catalog(load_settings()) as engine:
        done = import_decisions(engine, data, chosen)
    print_line(f"{count_noun(done.added, 'decision')} added; {done.known:,} were there already")
    for why, number in sorted(done.unknown.items()):
        print_line((f"{count_noun(number, 'decision')} left out: {why}", "yellow"))


def _choose_format(file: Path, kind: str | None) -> Any:
    found = kind or {".parquet": "parquet", ".jsonl": "jsonl", ".json": "label-studio"}.get(file.suffix.lower())
    if found is None:
        raise Misconfigured(
            f"--format is needed, because the name {file} does not tell: parquet, jsonl or label-studio"
        )
    return found


@click.command()
@click.option("--again", is_flag=True, help="Write all batches, also those without new decisions.")
@STORE
def publish(again: bool, store: str | None) -> None:
    """Write what was decided to the store now, where releases and the catalog use it.

    The sensor `new_decisions` does so within a minute by itself. Takedowns that were asked for are left to it.
    """
    from podcast_assets.catalog.loading.load import load_batch
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review.publish import publish_reviews
    from podcast_assets.review.report import publish_report

    settings = load_settings(store=store)
    opened = open_store(settings)
    with open_catalog(settings) as engine:
        done = publish_reviews(engine, opened, again=again, report=lambda batch: print_line(f"{batch}: published"))
        for batch in done.changed:
            load_batch(engine, opened, batch, words=settings.catalog_words)
        publish_report(engine, opened, settings.review_second_look)
    for batch, why in done.failed.items():
        print_line((f"{batch}: {why}", "red"))
    print_line(
        f"{count_noun(done.decisions, 'decision')} about {count_noun(done.segments, 'segment')} in "
        f"{count_noun(len(done.batches), 'batch')}; {count_noun(done.unchanged, 'batch')} without new ones"
    )
    if done.failed:
        sys.exit(1)
