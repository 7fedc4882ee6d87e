"""The same dataset by every library that people load it with: as many samples, the same texts, the same audio."""

import contextlib
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import soundfile
import yaml
from datasets import Value, load_dataset, load_dataset_builder
from datasets.exceptions import NonMatchingSplitsSizesError

from podcast_assets.release.published import EPISODES
from podcast_assets.release.readers.features import declared, features
from podcast_assets_tests.release import nemo_rules
from podcast_assets_tests.release.published import Published, publish

pytestmark = pytest.mark.readers

CODECS = ("flac", "opus", "mp3")


@pytest.fixture(scope="module", params=CODECS)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp(request.param) / "dataset", codec=request.param, episodes=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """A dataset of its own, in whose folder the test runs."""
    made = publish(tmp_path / "dataset")
    monkeypatch.chdir(made.folder)
    return made


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(rows: Iterable[Mapping[str, Any]], codec: str) -> dict[str, tuple[str, str]]:
    return {r["json"]["id"]: (r["json"]["text"], sha256(r[codec])) for r in rows}


def tars_of(dataset: Published, language: str = "*", split: str = "*", folder: str = "data") -> list[str]:
    return sorted(str(p) for p in dataset.folder.glob(f"{folder}/{language}/{split}/*.tar"))


def assert_json_is_as_sealed(dataset: Published, rows: Iterable[Mapping[str, Any]]) -> None:
    """No key is lost, and -1.0 is not -1."""
    sealed = {}
    for path in tars_of(dataset) + tars_of(dataset, folder="episode_data"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    note = tar.extractfile(member)
                    assert note
                    sealed[member.name.removesuffix(".json")] = json.load(note)
    for row in rows:
        assert json.dumps(row["json"], sort_keys=True) == json.dumps(sealed[row["__key__"]], sort_keys=True)


def without_torch(dataset: Published, config: str) -> Any:
    """The features that the card declares, the audio as bytes."""
    found = load_dataset_builder(str(dataset.folder), config).info.features
    assert found is not None
    found[dataset.codec] = Value("binary")
    return found


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("config", "language"), [("all", None), ("en", "en"), ("de", "de")])
def test_datasets(published: Published, tmp_path: Path, config: str, language: str | None, streaming: bool) -> None:
    codec = published.codec
    for split in ("train", "test"):
        rows: Any = load_dataset(
            str(published.folder),
            config,
            split=split,
            features=without_torch(published, config),
            streaming=streaming,
            cache_dir=str(tmp_path),
        )
        assert read(rows, codec) == published.samples(language, split)
        assert_json_is_as_sealed(published, rows)


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_of_whole_episodes(published: Published, tmp_path: Path, streaming: bool) -> None:
    config = "episodes-all"
    found: dict[str, Any] = {}
    for split in ("train", "test"):
        rows: Any = load_dataset(
            str(published.folder),
            config,
            split=split,
            features=without_torch(published, config),
            streaming=streaming,
            cache_dir=str(tmp_path),
        )
        assert_json_is_as_sealed(published, rows)
        found |= {
            r["json"]["id"]: (sha256(r[published.codec]), r["json"]["turns"], r["json"]["segments"]) for r in rows
        }
    known = {e: (a, t) for e, a, t in published.episodes.select("episode_id", "audio_sha256", "turns").iter_rows()}
    assert {e: (a, t) for e, (a, t, _) in found.items()} == known
    texts = {s["segment_id"]: s["text"] for *_, segments in found.values() for s in segments}
    assert texts == {k: t for k, (t, _) in published.samples().items()}


def test_the_default_is_everything(published: Published, tmp_path: Path) -> None:
    builder = load_dataset_builder(str(published.folder), cache_dir=str(tmp_path))
    assert builder.config.name == "all"
    assert {n: s.num_examples for n, s in (builder.info.splits or {}).items()} == {"train": 36, "test": 12}


def test_the_card_declares_the_features(published: Published, tmp_path: Path) -> None:
    codec = published.codec
    builder = load_dataset_builder(str(published.folder), "en", cache_dir=str(tmp_path))
    assert builder.info.features == features(codec, decode=True)
    assert features(codec, decode=True)._to_yaml_list() == declared(codec)
    episodes = load_dataset_builder(str(published.folder), "episodes-en", cache_dir=str(tmp_path)).info.features
    assert episodes == features(codec, decode=True, grain=EPISODES)


def test_datasets_decodes(published: Published, tmp_path: Path) -> None:
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchcodec does not load here: {str(error).splitlines()[0]}")
    rows: Any = load_dataset(str(published.folder), "en", split="test", cache_dir=str(tmp_path))
    for row in rows:
        samples = row[published.codec].get_all_samples()
        assert samples.data.shape[1] / samples.sample_rate == pytest.approx(row["json"]["duration"], abs=0.06)


def test_datasets_notices_a_shard_that_is_cut_off(here: Published, tmp_path: Path) -> None:
    """Cut between two samples it would give fewer, and no error: the card says how many there are."""
    shard = "data/en/train/audio_000000.tar"
    second = here.metadata.filter(shard=shard).sort("audio_offset").row(1, named=True)
    path = here.folder / shard
    path.write_bytes(path.read_bytes()[: -(-(second["audio_offset"] + second["audio_size"]) // 512) * 512])
    with pytest.raises(NonMatchingSplitsSizesError):
        load_dataset(
            str(here.folder), "en", split="train", features=without_torch(here, "en"), cache_dir=str(tmp_path / "cache")
        )


def test_webdataset(published: Published) -> None:
    from webdataset.compat import WebDataset

    shards = tars_of(published)
    found: dict[str, tuple[str, str]] = {}
    for sample in WebDataset(shards, shardshuffle=False):
        assert set(sample) == {"__key__", "__url__", "__local_path__", "json", published.codec}
        found[sample["__key__"]] = json.loads(sample["json"])["text"], sha256(sample[published.codec])
    assert found == published.samples()


def test_lhotse(published: Published) -> None:
    pytest.importorskip("lhotse", reason="Lhotse needs torch: make test-readers")
    from lhotse import CutSet, MonoCut
    from lhotse.audio.backend import audio_backend

    from podcast_assets.release.readers.lhotse import lazy_cuts

    cuts: Any = lazy_cuts(tars_of(published))
    rows = {r["segment_id"]: r for r in published.metadata.iter_rows(named=True)}
    found = {}
    # the backends that Lhotse prefers ask torchaudio, which may not load
    with audio_backend("LibsndfileBackend"):
        for cut in cuts:
            (said,) = cut.supervisions
            found[cut.id] = said.text, sha256(cut.recording.sources[0].source)
            row = rows[cut.id]
            assert (said.speaker, said.language) == (row["speaker"], row["language"])
            assert cut.custom["episode_start"] == row["start"]
            assert cut.duration == pytest.approx(row["duration"], abs=0.1)
            assert cut.load_audio().shape == (1, cut.num_samples)
    assert found == published.samples()
    assert type(cuts) is CutSet
    assert [type(cut) for cut in iter(cuts)] == [MonoCut] * len(found), "it can be iterated again"


def test_polars_reads_ranges(published: Published) -> None:
    rows = pl.scan_parquet(f"{published.folder}/metadata/*/*.parquet").collect()
    found = {}
    for row in rows.iter_rows(named=True):
        with (published.folder / row["shard"]).open("rb") as shard:
            shard.seek(row["audio_offset"])
            audio = shard.read(row["audio_size"])
        assert soundfile.info(io.BytesIO(audio)).frames > 0
        found[row["segment_id"]] = row["text"], sha256(audio)
    assert found == published.samples()


def manifests(rows: pl.DataFrame, folder: Path, codec: str) -> list[str]:
    paths = []
    for (shard,), own in rows.partition_by("shard", as_dict=True).items():
        number = Path(str(shard)).stem.removeprefix("audio_")
        path = folder / f"manifest_{number}.json"
        lines = [
            json.dumps({"audio_filepath": f"{s}.{codec}", "duration": d, "text": t, "shard_id": int(number)})
            for s, d, t in own.select("segment_id", "duration", "text").iter_rows()
        ]
        path.write_text("\n".join(lines))
        paths.append(str(path))
    return paths


@pytest.mark.parametrize(("language", "split"), [("en", "train"), ("de", "test")])
def test_nemo_by_its_rules(published: Published, tmp_path: Path, language: str, split: str) -> None:
    codec = published.codec
    rows = published.metadata.filter(language=language, split=split)
    paths = manifests(rows, tmp_path, codec)
    tars = tars_of(published, language, split)
    found = {
        entry["audio_filepath"].removesuffix(f".{codec}"): (entry["text"], sha256(audio))
        for entry, audio in nemo_rules.entries(paths, tars, skip_missing_manifest_entries=True)
    }
    assert found == published.samples(language, split)
    with pytest.raises(RuntimeError, match=r"Cannot locate JSON entry for tar file '.*\.json'"):
        list(nemo_rules.entries(paths, tars))


def test_nemo_passes_over_what_was_filtered(published: Published, tmp_path: Path) -> None:
    codec = published.codec
    rows = published.metadata.filter(language="en", split="train")
    tars = tars_of(published, "en", "train")
    some = manifests(rows.filter(pl.col("duration") >= 1), tmp_path, codec)
    kept = [e for e, _ in nemo_rules.entries(some, tars, skip_missing_manifest_entries=True)]
    assert len(kept) == rows.filter(pl.col("duration") >= 1).height < rows.height


def blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", card, flags=re.MULTILINE | re.DOTALL)


def test_every_piece_of_code_on_the_card_runs(here: Published, tmp_path: Path) -> None:
    card = Path("README.md").read_text()
    known: dict[str, Any] = {}
    ran = 0
    for code in blocks(card, "python"):
        if "get_all_samples" in code and not _torchcodec_loads():
            continue
        if "lhotse" in code and not _torch_loads():
            continue
        exec(compile(code, "README.md", "exec"), known)
        ran += 1
    assert ran >= 7
    row = known["row"]
    assert sha256(known["audio"]) == row["audio_sha256"]
    assert sum(hours for *_, hours in known["hours"].fetchall()) == pytest.approx(
        here.metadata["duration"].sum() / 3600
    )
    (settings,) = blocks(card, "yaml")
    train = yaml.safe_load(settings)["train_ds"]
    paths = nemo_rules.expanded(train["manifest_filepath"])
    tars = nemo_rules.expanded(train["tarred_audio_filepaths"].replace("FOLDER", "."))
    entries = nemo_rules.entries(paths, tars, skip_missing_manifest_entries=train["skip_missing_manifest_entries"])
    assert {e["text"] for e, _ in entries} == {t for t, _ in here.samples("en", "train").values()}


def test_without_a_shard_in_the_middle(here: Published) -> None:
    """A takedown leaves a gap in the numbers: whoever lists the files reads on."""
    from webdataset.compat import WebDataset

    gone = here.folder / "data/en/train/audio_000002.tar"
    samples = here.metadata.filter(pl.col("shard") != "data/en/train/audio_000002.tar").height
    gone.unlink()
    left = tars_of(here)
    assert sum(1 for _ in WebDataset(left, shardshuffle=False)) == samples


def _torch_loads() -> bool:
    with contextlib.suppress(ImportError, OSError):
        import lhotse  # noqa: F401

        return True
    return False


def _torchcodec_loads() -> bool:
    with contextlib.suppress(ImportError, OSError, RuntimeError):
        import torchcodec.decoders  # noqa: F401

        return True
    return False


def test_a_copy_of_the_adapter_needs_nothing_of_this_package(here: Published, tmp_path: Path) -> None:
    if not _torch_loads():
        pytest.skip("Lhotse needs torch")
    import podcast_assets.release.readers.lhotse as adapter

    shutil.copy(str(adapter.__file__), tmp_path / "copied.py")
    script = tmp_path / "read.py"
    script.write_text(
        "import sys\n"
        "sys.modules['podcast_assets'] = None\n"
        "from copied import lazy_cuts\n"
        "from lhotse.audio.backend import audio_backend\n"
        "cuts = list(lazy_cuts(sys.argv[1:]))\n"
        "with audio_backend('LibsndfileBackend'):\n"
        "    print(len(cuts), sum(cut.load_audio().size > 0 for cut in cuts))\n"
    )
    command = [sys.executable, str(script), *tars_of(here)]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(here.metadata.height)] * 2
