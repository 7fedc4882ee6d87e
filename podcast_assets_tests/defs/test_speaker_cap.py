"""The check of the speaker limit, with the limit of Sortformer, through the asset. What NeMo would hear is scripted."""

import json
import sys
from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.diarized_segments import diarized_segments
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.speech.diarizers.sortformer import nemo_process
from podcast_assets_tests.short_clip import write_clip
from podcast_assets_tests.speech import nemo_double


def heard(speakers: int) -> dict[str, object]:
    """Each speaker for 1.6 s, which is 20 frames, after the one before."""
    turns = [[1.6 * n, 1.6 * (n + 1), n] for n in range(speakers)]
    frames = [[float(frame // 20 == n) for n in range(4)] for frame in range(80)]
    return {"turns": turns, "probabilities": frames}


def test_an_episode_in_which_sortformer_hears_all_its_four_speakers_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nemo_process, "WORKER", Path(nemo_double.__file__))
    monkeypatch.setattr(nemo_process, "versions", lambda _: {"nemo_toolkit": "2", "torch": "2"})
    script, notes = tmp_path / "scripted.nemo", tmp_path / "notes.jsonl"
    notes.touch()
    script.write_text(json.dumps({"answers": [heard(4), heard(3)], "notes": str(notes)}))
    folder = tmp_path / "store" / "incoming" / "talks"
    write_clip(folder / "four.flac", 6.4)
    write_clip(folder / "three.flac", 6.3)
    settings = Settings(
        store=str(tmp_path / "store"),
        profile="cpu",
        diarizer="sortformer",
        engines={"sortformer": {"model": str(script), "python": sys.executable, "device": "cpu"}},
    )
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(BATCHES, ["talks"])
        result = job.execute_in_process(
            instance=instance, asset_selection=[raw_audio.key, diarized_segments.key], partition_key="talks"
        )
    assert result.success, "the check warns and blocks nothing"
    (check,) = [c for c in result.get_asset_check_evaluations() if c.check_name == "below_speaker_cap"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["cap"].value == 4
    assert check.metadata["at_cap"].value == ["four.flac"]
