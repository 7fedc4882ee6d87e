"""Checks of the store, of DAGSTER_HOME, and of telemetry."""

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.cli.doctor.machine import nearest_existing
from podcast_assets.common.errors import first_line
from podcast_assets.common.redaction import redact_text
from podcast_assets.config.settings import Settings
from podcast_assets.store.store import Store

AREA, PRIVACY = "places", "privacy"


def store(place: Store) -> Finding:
    """Check that a file written to the store can be read back; it is removed again.

    A local store that does not exist yet is tried in its nearest existing parent.
    """
    name = redact_text(str(place.root))
    tried = place
    if place.is_local and not Path(str(place.root)).exists():
        tried = Store.at(nearest_existing(Path(str(place.root))))
    key, content = f".doctor-{uuid.uuid4().hex[:12]}", b"podcast-assets doctor"
    try:
        tried.write(key, content)
        try:
            intact = tried.read(key) == content
        finally:
            tried.remove(key)
    except Exception as error:  # of the disk, the network or the client library, which have no common base
        todo = "set PODCAST_STORE to a folder or URL that can be written" + (
            "" if place.is_local else ", or fix its credentials"
        )
        return Finding(AREA, "missing", f"store {name} cannot be written: {first_line(error)}", todo, blocks=True)
    if not intact:
        return Finding(
            AREA, "missing", f"store {name} does not return the bytes that were written", "check its disk", blocks=True
        )
    return Finding(AREA, "ok", f"store {name} can be written" + ("" if tried is place else " (it will be created)"))


def dagster_home(settings: Settings) -> Finding:
    """Check that DAGSTER_HOME exists or can be created."""
    home = settings.dagster_home.absolute()
    existing = nearest_existing(home)
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        what = f"DAGSTER_HOME {home} cannot be written"
        return Finding(AREA, "missing", what, "set DAGSTER_HOME to a folder that can be written", blocks=True)
    if not (home / "dagster.yaml").is_file():
        return Finding(AREA, "ok", f"DAGSTER_HOME {home} will be set up by the first run, or by podcast-assets init")
    return Finding(AREA, "ok", f"DAGSTER_HOME {home} is set up")


def telemetry(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Report whether Dagster, pyannote and huggingface_hub send usage statistics.

    Args:
        settings: name DAGSTER_HOME.
        environment: environment variables.
    """
    return [
        _dagster_telemetry(settings.dagster_home.absolute() / "dagster.yaml"),
        Finding(PRIVACY, "ok", "telemetry of pyannote: off, disabled by its engine"),
        _hub_telemetry(any(_is_on(environment.get(v, "")) for v in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"))),
    ]


def _dagster_telemetry(file: Path) -> Finding:
    if not file.is_file():
        return Finding(PRIVACY, "ok", "telemetry of Dagster: off, once DAGSTER_HOME is set up")
    import yaml

    try:
        on = ((yaml.safe_load(file.read_text()) or {}).get("telemetry") or {}).get("enabled", True)
    except (OSError, yaml.YAMLError, AttributeError) as error:
        return Finding(PRIVACY, "warning", f"{file} cannot be read: {first_line(error)}", "repair or delete it")
    if not on:
        return Finding(PRIVACY, "ok", "telemetry of Dagster: off")
    return Finding(PRIVACY, "warning", "telemetry of Dagster: on", f"set telemetry: {{enabled: false}} in {file}")


def _hub_telemetry(off: bool) -> Finding:
    if off:
        return Finding(PRIVACY, "ok", "telemetry of huggingface_hub: off")
    what = "huggingface_hub sends the versions of Python and some packages with each request"
    return Finding(PRIVACY, "ok", f"{what}; set HF_HUB_DISABLE_TELEMETRY=1 to disable this")


def _is_on(value: str) -> bool:
    return value.strip().lower() in ("1", "true", "yes", "on")
