"""The beginning of an episode of the sample batch, for tests that need speech and not much of it."""

from pathlib import Path

import soundfile

from podcast_assets.store.store import Store
from podcast_assets_tests.miniature import BATCH

EPISODE = BATCH / "water-history.opus"


def write_clip(path: Path, seconds: float = 14.2) -> Path:
    """Write the beginning of an episode as a FLAC file, and make the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = soundfile.info(EPISODE).samplerate
    audio, _ = soundfile.read(EPISODE, frames=int(seconds * rate), dtype="int16")
    soundfile.write(path, audio, rate, format="FLAC")
    return path


def drop_clip(store: Store, batch: str, seconds: float = 14.2) -> Path:
    """Put a batch with one short episode under `incoming/` of a store in a folder."""
    return write_clip(Path(str(store.path(f"incoming/{batch}/water-history.flac"))), seconds)
