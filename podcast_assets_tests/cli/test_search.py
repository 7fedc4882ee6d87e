"""`podcast-assets search` and `catalog embed`, on the embedded server, with a store of made batches."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podcast_assets.catalog.connection import embedded_server
from podcast_assets.catalog.search.find import search
from podcast_assets.cli.main import main
from podcast_assets.config.settings import Settings
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import commit_filled_batch

Command = Callable[..., Result]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Calls a command on a loaded catalog."""
    folder: Path = tmp_path_factory.mktemp("search")
    commit_filled_batch(Store.at(str(folder / "store")), "b1", podcast="A \x1b[2J Show")
    environment = {"PODCAST_STORE": str(folder / "store"), "DAGSTER_HOME": str(folder / "home"), "PODCAST_CATALOG": "1"}

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner(env=environment | more).invoke(main, arguments)

    assert run("catalog", "load").exit_code == 0
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield run
        embedded_server(Settings()).leave()


def test_hits_for_people(loaded: Command) -> None:
    found = loaded("search", "word0", "--mode", "words")
    assert found.exit_code == 0, found.output
    assert "word0" in found.stdout
    assert "https://example.org/one.mp3#t=" in found.stdout
    assert "hunter2secret" not in found.output
    assert "A \\x1b[2J Show" in found.stdout
    assert "\x1b[2J" not in found.stdout


def test_hits_for_programs_and_what_limited_the_search(loaded: Command) -> None:
    found = loaded("search", "word0", "--json", "--limit", "2", "--podcast", "a \x1b[2J show")
    answer = json.loads(found.stdout)
    assert len(answer["hits"]) == 2
    assert answer["hits"][0]["batch"] == "b1"
    assert "catalog embed" in answer["notes"][0]
    nothing = loaded("search", "word0", "--json", "--mode", "words", "--language", "de")
    assert json.loads(nothing.stdout) == {"hits": [], "notes": []}


def test_vectors_are_made_and_searched(loaded: Command) -> None:
    before = loaded("search", "word0", "--mode", "meaning")
    assert before.exit_code == 2
    assert "podcast-assets catalog embed" in before.stderr
    made = json.loads(loaded("catalog", "embed", "--json").stdout)
    assert made["added"] > 0
    assert json.loads(loaded("catalog", "embed", "--json").stdout)["added"] == 0
    hits = json.loads(loaded("search", "word0 word1", "--json").stdout)["hits"]
    assert {"word_rank", "meaning_rank"} <= hits[0].keys()
    assert hits[0]["meaning_rank"]
    assert [hit.text for hit in search("word0 word1", limit=10)] == [hit["text"] for hit in hits]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-bread",), "add one to look for"),
        (("word0", "--score", "nosuch>1"), "there is no score 'nosuch'"),
        (("word0", "--flag", "hate>1"), "POLICY.LABEL"),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_line(loaded: Command, arguments: tuple[str, ...], message: str) -> None:
    found = (
        loaded("search", "--mode", "words", "--", *arguments)
        if arguments[0][0] == "-"
        else loaded("search", *arguments)
    )
    assert found.exit_code == 2
    assert message in found.stderr


def test_a_remote_server_of_embeddings_is_refused_unasked(loaded: Command) -> None:
    remote = {
        "PODCAST_EMBEDDER": "openai",
        "PODCAST_EMBEDDINGS_URL": "https://1.1.1.1/v1",
        "PODCAST_EMBEDDINGS_MODEL": "m",
    }
    found = loaded("catalog", "embed", **remote)
    assert found.exit_code == 2
    assert "PODCAST_EMBEDDINGS_ALLOW_REMOTE" in found.stderr
