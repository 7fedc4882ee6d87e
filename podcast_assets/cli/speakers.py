"""`podcast-assets speakers`: find speakers who appear in several episodes."""

import json

import click
from rich import box
from rich.table import Table
from rich.text import Text

from podcast_assets.cli.terminal import STORE, load_settings, output, print_line


@click.command()
@click.argument("podcasts", nargs=-1, metavar="[PODCAST_ID]...")
@click.option(
    "--min-similarity",
    type=click.FloatRange(-1, 1),
    default=0.6,
    show_default=True,
    help="Cosine similarity of two voice embeddings from which they count as one speaker.",
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
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON array on standard output: all speakers, linked or not."
)
@STORE
def speakers(
    podcasts: tuple[str, ...],
    min_similarity: float,
    min_seconds: float,
    save: bool,
    across_podcasts: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """List speakers who appear in several episodes of a podcast, matched by the diarizer's voice embeddings.

    Only pyannote's embeddings tell voices apart across recordings.
    """
    from podcast_assets.speech.linking import LinkingSettings, link_speakers
    from podcast_assets.speech.voices import KEY, read_speakers, write_links
    from podcast_assets.stages import overview
    from podcast_assets.store.store import Store

    opened_store = Store.at(load_settings(store=store).store)
    how = LinkingSettings(min_similarity=min_similarity, min_seconds=min_seconds)
    found = read_speakers(opened_store, overview.batch_names(opened_store), podcasts, across=across_podcasts)
    linked = link_speakers(found, how)
    if save:
        write_links(opened_store, linked)
    if as_json:
        click.echo(json.dumps(linked.to_dicts(), ensure_ascii=False))
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("voice", "episode", "speaker", "minutes", "confidence"):
        table.add_column(name, justify="right" if name in ("minutes", "confidence") else "left", overflow="fold")
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
    print_line(
        f"voices in several episodes: {shared['voice'].n_unique()}; speakers in one: {linked.height - shared.height}"
    )
    if other := sorted(set(found["engine"].unique()) - set(how.engines)):
        print_line((f"the embeddings of {', '.join(other)} cannot be compared across recordings: ignored", "yellow"))
    if save:
        print_line(f"saved: {opened_store.path(KEY)}")
