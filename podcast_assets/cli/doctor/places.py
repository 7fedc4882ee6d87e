"""The store and Dagster's folder: whether they can be reached and written; and who is told of what is done here."""

import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

from podcast_assets.cli.doctor.finding import Finding, first_line
from podcast_assets.cli.doctor.machine import nearest
from podcast_assets.config.settings import Settings
from podcast_assets.store.store import Store

AREA, PRIVACY = "places", "privacy"


def store(place: Store) -> Finding:
    """Whether the store can be written so that nobody ever sees half a file: one is written under another name, renamed and read.

    A local store that is not there yet is tried in the folder that it will be in. Nothing is left behind.
    """
    name = redact_passwords(str(place.root))
    made = place
    if place.is_local and not Path(str(place.root)).exists():
        made = Store.at(nearest(Path(str(place.root))))
    key, content = f".doctor-{uuid.uuid4().hex[:12]}", b"podcast-assets doctor"
    try:
        made.write(key, content)
        try:
            whole = made.read(key) == content
        finally:
            made.remove(key)
    except Exception as error:  # of the disk, the network, or whatever client the store's URL needs
        todo = "set PODCAST_STORE to a folder or URL that can be written" + (
            "" if place.is_local else ", or mend its credentials"
        )
        return Finding(
            AREA, "missing", f"store {name} cannot be written: {redact_passwords(first_line(error))}", todo, blocks=True
        )
    if not whole:
        return Finding(AREA, "missing", f"store {name} returns other bytes than were written", None, blocks=True)
    return Finding(AREA, "ok", f"store {name} can be written" + ("" if made is place else " (it will be created)"))


def dagster_home(settings: Settings) -> Finding:
    """Whether Dagster's folder is there, or can be made."""
    home = settings.dagster_home.expanduser().absolute()
    there = nearest(home)
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = f"DAGSTER_HOME {home} cannot be written"
        return Finding(AREA, "missing", what, "set DAGSTER_HOME to a folder that can be", blocks=True)
    if not (home / "dagster.yaml").is_file():
        return Finding(AREA, "ok", f"DAGSTER_HOME {home} will be set up by the first run, or by podcast-assets init")
    return Finding(AREA, "ok", f"DAGSTER_HOME {home} is set up")


def telemetry(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Whether Dagster, pyannote and the hub's library send statistics of their use.

    Args:
        settings: where Dagster's folder is.
        environment: variables of the environment.
    """
    return [
        _dagster_telemetry(settings.dagster_home.expanduser().absolute() / "dagster.yaml"),
        Finding(PRIVACY, "ok", "telemetry of pyannote: switched off by its engine"),
        _hub_telemetry(any(_is_on(environment.get(v, "")) for v in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"))),
    ]


def redact_passwords(text: str) -> str:
    """Remove the passwords from URLs in a text."""
    return re.sub(r"//[^/@\s]+@", "//…@", text)


def _dagster_telemetry(file: Path) -> Finding:
    if not file.is_file():
        return Finding(PRIVACY, "ok", "telemetry of Dagster: off, once its folder is set up")
    import yaml

    try:
        on = ((yaml.safe_load(file.read_text()) or {}).get("telemetry") or {}).get("enabled", True)
    except (OSError, yaml.YAMLError, AttributeError) as error:
        return Finding(PRIVACY, "warning", f"{file} cannot be read: {first_line(error)}", "repair or delete it")
    return _telemetry_finding("Dagster", not on, f"telemetry: {{enabled: false}} in {file}")


def _hub_telemetry(off: bool) -> Finding:
    if off:
        return Finding(PRIVACY, "ok", "telemetry of huggingface_hub: off")
    told = "sends the versions of Python and some packages with each request"
    return Finding(PRIVACY, "ok", f"huggingface_hub {told}; set HF_HUB_DISABLE_TELEMETRY=1 to disable this")


def _telemetry_finding(who: str, off: bool, how: str) -> Finding:
    if off:
        return Finding(PRIVACY, "ok", f"telemetry of {who}: off")
    return Finding(PRIVACY, "warning", f"telemetry of {who}: on", f"to switch it off: {how}")


def _is_on(value: str) -> bool:
    return value.strip().lower() in ("1", "true", "yes", "on")
