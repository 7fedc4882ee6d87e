"""Secrets are shown and stored nowhere: marked fakes are given wherever one can be given, and everything written is searched."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import HttpUrl, SecretStr

from podcast_assets.config.environment import environment_name
from podcast_assets.config.settings import Settings
from podcast_assets_tests import forked, quick
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.intake.feeds.shapes import item, rss
from podcast_assets_tests.secrets import Marks, contents
from podcast_assets_tests.servers.receiver import receiver
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server
from podcast_assets_tests.short_clip import write_clip

pytestmark = pytest.mark.hostile

KEPT = {
    r"incoming/[^/]+\.jsonl": "URL of an episode|URL of a transcript",  # what is to be downloaded, with its login
    r"feeds/feeds\.csv(\[.*\])?": "URL of a feed",  # what is to be polled
    r"feed_state/feeds\.parquet\[(address|continue_at)\]": "URL of a feed",  # where it moved to, and its next page
    r"feed_state/pending\.parquet\[row\]": "URL of an episode",  # episodes that wait for their batch
    r"tables/raw_audio/[^/]+\.parquet\[metadata\]": "URL of an episode",  # by which a takedown finds what was downloaded
}
"""Place in the store, as a pattern → what its secrets are part of. These have to be kept so that things work."""

SECRET_SETTINGS = {"webhook_secret", "webhook_url", "catalog_url", "review_key"}
REFUSED = {"store", "release_folder", "ray_address"}
"""Settings that take URLs, and none with a secret."""


def text_settings() -> dict[str, Any]:
    """Settings whose values are text of any form, with the types of their values."""
    kinds = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {
        n: k
        for n, k in kinds.items()
        if any(word in str(k) for word in ("str", "Str", "Path", "Url", "dict")) and "Literal" not in str(k)
    }


def secret_settings() -> set[str]:
    return {n for n, k in text_settings().items() if any(t in str(k) for t in (SecretStr.__name__, HttpUrl.__name__))}


def test_every_secret_setting_is_given_here() -> None:
    """A setting that is named as a secret has the type that is never shown, and the run below sets it."""
    assert secret_settings() == SECRET_SETTINGS
    named = {n for n in text_settings() if re.search("secret|token|password|passw|credential|cookie|key|login", n)}
    assert named - {"meta_key"} <= SECRET_SETTINGS, "make its type SecretStr | None, and give it a mark"


def test_no_setting_shows_the_secrets_of_a_url(place: Place) -> None:
    """Whatever setting a URL is given to: its value is shown, or refused, without the login and the query."""
    marks = Marks()
    values = {
        environment_name(n): marks.url(n, "https", "host.example/path") for n in text_settings() if n != "engines"
    }
    values["PODCAST_ENGINES"] = json.dumps(
        {"pocketsphinx": {"model": marks.url("engines", "https", "host.example/path")}}
    )
    values["PODCAST_WEBHOOK_SECRET"] = marks.new("secret of the webhook")
    refused = place.command("settings", **values)
    assert refused.returncode == 2
    names = {line.partition(": ")[2].partition("=")[0] for line in refused.stderr.splitlines()}
    assert {environment_name(name) for name in REFUSED} <= names
    taken = {name: value for name, value in values.items() if name not in names}
    assert len(taken) > 10
    shown = [place.command("settings", *options, **taken) for options in ((), ("--json",))]
    assert [s.returncode for s in shown] == [0, 0], shown[0].stderr
    assert "https://host.example/…" in shown[0].stdout
    for written in (refused, *shown):
        assert marks.found_in((written.stdout + written.stderr).encode()) == set()


def environment(marks: Marks, web: str, hook: str) -> dict[str, str]:
    """All variables in which secrets are given, those of libraries too.

    Args:
        marks: makes the secrets.
        web: address of a server, host:port.
        hook: address of the webhook.
    """
    nobody = "127.0.0.1:9"
    settings = {
        "webhook_url": marks.url("the webhook", "http", f"{hook}/{marks.new('path of the webhook')}"),
        "webhook_secret": marks.new("secret of the webhook"),
        "catalog_url": marks.url("the catalog", "postgresql", f"{nobody}/catalog"),
        "review_key": marks.new("key of the review page") + "0" * 32,
    }
    return {environment_name(name): settings[name] for name in secret_settings()} | {
        "HF_TOKEN": marks.new("token of the Hub", "hf_"),
        "HF_ENDPOINT": marks.url("the Hub", "http", nobody).partition("?")[0],
        "AWS_ACCESS_KEY_ID": marks.new("id of the key of S3"),
        "AWS_SECRET_ACCESS_KEY": marks.new("key of S3"),
        "AWS_SESSION_TOKEN": marks.new("session of S3"),
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": marks.url("S3", "http", nobody).partition("?")[0],
        "DAGSTER_POSTGRES_URL": marks.url("PostgreSQL", "postgresql+psycopg2", f"{nobody}/dagster"),
        "DAGSTER_POSTGRES_PASSWORD": marks.new("password of PostgreSQL"),
        "RAY_AUTH_TOKEN": marks.new("token of Ray"),
        "PODCAST_ALLOW_HOSTS": web.partition(":")[0],
        "PODCAST_DOWNLOAD_TRIES": "1",
        "PODCAST_FEED_WAIT_HOURS": "0",
        "PODCAST_PROFILE": "demo",
    }


def proxies(marks: Marks) -> dict[str, str]:
    return {
        name: marks.url(f"the proxy {name}", "http", "127.0.0.1:9").partition("?")[0]
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    } | {"NO_PROXY": ""}


def command_without_waits(*arguments: str) -> None:
    """Be `podcast-assets …`, with retries that do not wait."""
    patch = pytest.MonkeyPatch()
    quick.shorten_waits(patch)
    patch.setattr("podcast_assets.store.backends.bucket.RETRY", {"max_retries": 0})
    forked.run_command(*arguments)


def poll_and_notify() -> None:
    """What the daemon does: poll the feeds, and notify the webhook of a run that failed with a message of a library."""
    import requests

    from podcast_assets.defs.build import build_definitions
    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.sensors.due_feeds import due_feeds
    from podcast_assets.defs.sensors.run_alerts import tell_of_failure

    quick.shorten_waits(pytest.MonkeyPatch())
    settings = Settings()
    prepare_home(settings)
    resources = dict(build_definitions(settings).resources or {})

    @dg.op
    def ask_library(context: dg.OpExecutionContext) -> None:
        context.log.warning(f"asking {os.environ['HF_ENDPOINT']} with {os.environ['HF_TOKEN']}")
        try:
            requests.get(f"{os.environ['HF_ENDPOINT']}/api?token={os.environ['HF_TOKEN']}", timeout=1)
        except requests.RequestException as error:
            raise RuntimeError(
                f"{os.environ['DAGSTER_POSTGRES_URL']} and {os.environ['AWS_SECRET_ACCESS_KEY']}"
            ) from error

    @dg.job
    def failing() -> None:
        ask_library()

    with dg.DagsterInstance.get() as instance:
        sys.stdout.write(f"{due_feeds(dg.build_sensor_context(instance, resources=resources))}\n")
        result = failing.execute_in_process(instance=instance, raise_on_error=False)
        (event,) = result.filter_events(lambda e: e.is_job_failure)
        context = dg.build_run_status_sensor_context(
            sensor_name="tell_of_failure",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=event,
            resources=resources,
        )
        sys.stdout.write(f"{tell_of_failure(context.for_run_failure())}\n")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    with web_server() as running:
        running.put("/good.flac", Resource(write_clip(tmp_path / "clip" / "clip.flac", 3.0).read_bytes(), "audio/flac"))
        running.put("/page.mp3", Resource(b"<html>log in</html>", "text/html"))
        yield running


def test_no_secret_is_shown_or_stored(web: WebServer, place: Place, dagster_home: Path) -> None:
    marks = Marks()
    address = web.url("").partition("://")[2]

    def link(path: str, what: str = "URL of an episode") -> str:
        return marks.url(what, "http", f"{address}{path}")

    web.put("/moved.mp3", Resource(location=link("/gone.mp3")))
    web.put("/feed", Resource(rss(item("1", link("/page.mp3")), item("2", link("/good.flac"))), "text/xml"))
    web.put("/old", Resource(location=link("/feed2", "URL of a feed")))
    web.put("/feed2", Resource(rss(item("3", link("/page.mp3"))), "text/xml"))
    rows = [
        {"url": link("/good.flac"), "transcript_url": link("/none.vtt", "URL of a transcript"), "license": "cc-by-4.0"},
        {"url": link("/page.mp3")},
        {"url": link("/moved.mp3")},
        {"url": link("/absent.mp3")},
        {"url": link("/port").replace(address, "127.0.0.1:99999")},
        {"url": link("/ftp").replace("http:", "ftp:")},
        {"url": link("/good.flac").replace(":", ":/", 1), "title": "a password with a slash"},
    ]
    place.store.write("incoming/links.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    with receiver() as hook:
        given = environment(marks, address, hook.url.partition("://")[2].partition("/")[0])
        variables = dict(place.environment(**given, HF_HUB_OFFLINE="0"))
        feeds = [link("/feed", "URL of a feed"), link("/old", "URL of a feed"), link("/nothing", "URL of a feed")]
        hub, bucket = {"PODCAST_HUB_REPO": "somebody/talks"}, {"PODCAST_STORE": "s3://nobody/store"}
        mistaken = f"http://{given['HF_TOKEN']}:x@h/?{given['HF_TOKEN']}"
        commands: list[tuple[dict[str, str], tuple[str, ...]]] = [
            (proxies(marks), ("doctor",)),
            (bucket, ("batches",)),
            ({}, ("submit", "--feed", *feeds)),
            ({}, ("submit", "--episode", link("/good.flac"))),
            ({}, ("submit", "--episode", link("/broken").replace(address, "["))),
            ({}, ("submit", link("/broken").partition("://")[2])),
            ({}, ("backfill", "links", "--here")),
            (hub, ("release",)),
            (hub | proxies(marks), ("release", "--dry-run")),
            ({"PODCAST_LOG_FORMAT": "json"}, ("release", "--json")),
            ({}, ("warnings",)),
            ({}, ("episodes",)),
            ({}, ("failures", "--json")),
            (proxies(marks), ("dataset", "verify", "somebody/talks")),
            ({"PODCAST_LOG_FORMAT": "json"}, ("dataset", "verify", mistaken)),
            ({}, ("submit", "--batch", link("/broken"), "--nothing", link("/broken"))),
            ({}, ("failures", "--limit", link("/broken"))),
            ({}, (link("/broken"),)),
            ({}, ("takedown", rows[1]["url"], "--reason", "asked", "--json")),
        ]
        written: dict[str, str] = {}
        children = []
        for number, (extra, arguments) in enumerate(commands):
            child = forked.start(command_without_waits, *arguments, environment=variables | extra, cwd=place.folder)
            child.wait()
            written[f"{number}: {arguments[0]}"] = child.out + child.err
            children.append(child)
        child = forked.start(poll_and_notify, environment=variables, cwd=place.folder)
        child.wait()
        written["poll_and_notify"] = child.out + child.err
    shown = "\n".join(written.values())
    for expected in (
        "is an HTML page, neither",
        "the Hub cannot be reached",
        "s3://nobody/store at http://127.0.0.1:9: it",
    ):
        assert expected in shown
    leaks = {name: found for name, text in written.items() if (found := marks.found_in(text.encode()))}
    assert hook.received, written["poll_and_notify"]
    leaks |= {f"webhook {n}": found for n, r in enumerate(hook.received) if (found := marks.found_in(r.body))}
    for child in children:
        for name in ("out", "err"):
            (child.streams / name).unlink()
    for name in ("store", "dagster_home"):
        for path, data in contents(place.folder / name):
            allowed = [what for pattern, what in KEPT.items() if name == "store" and re.fullmatch(pattern, path)]
            if found := {w for w in marks.found_in(data) if not re.search(f"({'|'.join(allowed) or '$^'})$", w)}:
                leaks.setdefault(f"{name}/{path}", set()).update(found)
    assert leaks == {}
