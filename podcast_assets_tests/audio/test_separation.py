"""The voice without the music. The graphs are made here: of random weights, or of known effect; none separates anything."""

import hashlib
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import polars as pl
import pytest

from podcast_assets.audio.encode import encode
from podcast_assets.audio.ingest import make_working_audio
from podcast_assets.audio.separators.separation import (
    SEPARATION_RATE,
    Chunking,
    SeparationFailed,
    Stereo,
    process_in_chunks,
    separate_voice,
    to_stereo,
)
from podcast_assets.audio.separators.uvr_mdx.engine import UvrMdx
from podcast_assets.audio.separators.uvr_mdx.network import MdxSeparator, Spectrogram
from podcast_assets.audio.working import read_working_audio
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models
from podcast_assets.engines.engine import Engine, make_engine
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.ingest import Ingest, ingest_episode
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.schema import RAW_AUDIO, schema
from podcast_assets.store.store import Store, working_key
from podcast_assets_tests.audio.conftest import RATE

pytest.importorskip("onnx", reason="the graphs are made with onnx")
from tools.random_models import mdx

N_FFT, HOP, FRAMES = 256, 64, 64
ALL_BINS = N_FFT // 2 + 1
SETTINGS: dict[str, Any] = {
    "n_fft": N_FFT,
    "hop": HOP,
    "margin": 0.01,
    "compensate": 1.0,
    "threads": 1,
    "device": "cpu",
}


def noise(samples: int, seed: int = 1) -> Stereo:
    return 0.1 * np.random.default_rng(seed).standard_normal((samples, 2), dtype=np.float32)


def blocks(sound: Stereo, size: int) -> Iterator[Stereo]:
    return (sound[i : i + size] for i in range(0, len(sound), size))


def joined(parts: Iterable[Stereo]) -> Stereo:
    return np.concatenate([np.zeros((0, 2), np.float32), *parts])


def graph(folder: Path, effect: mdx.Effect = "identity", **shape: Any) -> Path:
    return mdx.make(folder / f"{effect}.onnx", **({"bins": ALL_BINS, "frames": FRAMES} | shape), effect=effect)


def engine(model: Path, **settings: Any) -> UvrMdx:
    chosen: dict[str, Any] = {**SETTINGS, "predicts": "voice", **settings}
    return UvrMdx(model=str(model), **chosen)


def loaded(model: Path, **settings: Any) -> MdxSeparator:
    return engine(model, **settings).load()


class PassThrough:
    name = "pass-through"

    def voice(self, chunks: Iterable[Stereo]) -> Iterator[Stereo]:
        yield from chunks


# -- chunks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0, 7, 40])
@pytest.mark.parametrize("chunks", [0, 1, 2, 5])
def test_a_model_that_changes_nothing_gives_the_recording_itself(margin, chunks):
    how = Chunking(100, margin)
    for more, size, batch in product((-1, 0, 1, 41), (3, 100, 10_000), (1, 3)):
        sound = noise(max(chunks * how.step + more, 0))
        np.testing.assert_array_equal(
            joined(process_in_chunks(blocks(sound, size), how, lambda waves: waves, batch)), sound
        )


def test_every_sample_but_those_at_the_ends_is_computed_with_a_margin_of_real_sound_around_it():
    how = Chunking(100, 30)
    sound = np.ones((1000, 2), np.float32)
    seen = []

    def model(waves):
        seen.extend(waves.copy())
        return waves

    joined(process_in_chunks([sound], how, model))
    assert [len(s) for s in seen] == [100] * 25
    assert all((s == 1).all() for s in seen[1:-1])
    assert not seen[0][:30].any(), "before the recording there is silence"
    assert not seen[-1][70:].any(), "and after it"


def test_what_is_thrown_away_does_not_reach_the_recording():
    how = Chunking(100, 30)
    sound = noise(777)

    def bad_at_its_ends(waves):
        waves = waves.copy()
        waves[:, :30], waves[:, 70:] = np.nan, np.nan
        return waves

    np.testing.assert_array_equal(joined(process_in_chunks([sound], how, bad_at_its_ends)), sound)


def test_margins_that_leave_nothing_are_refused():
    with pytest.raises(ValueError, match="100 samples leave nothing between margins of 50"):
        Chunking(100, 50)


def test_memory_does_not_grow_with_the_recording():
    """Twenty minutes in blocks of two seconds, in chunks as long as those of the published models."""
    how = Chunking(1024 * 255, 22_050)
    block = noise(2 * SEPARATION_RATE)
    given = 0
    tracemalloc.start()
    for part in process_in_chunks((block for _ in range(600)), how, lambda waves: waves):
        given += len(part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert given == 1200 * SEPARATION_RATE
    assert peak < 10 * how.length * 8, "423 MB went through"


# -- spectrograms ----------------------------------------------------------------------------------------------------


def test_the_image_holds_the_spectra_of_left_and_right_real_and_imaginary():
    """Against the definition: a Hann window, frames centred on every `hop` samples, the ends mirrored, the transform by its sum."""
    spectrogram = Spectrogram(64, 16, 20, 12)
    sound = noise(spectrogram.length)
    image = spectrogram.analyse(sound[None])[0]
    assert image.shape == (4, 20, 12)
    k = np.arange(64)
    for frame, bin_ in product((0, 5, 11), (0, 3, 19)):
        span = sound[_mirrored(frame * 16 - 32 + k, len(sound))] * np.sin(np.pi * k / 64)[:, None] ** 2
        left, right = (span * np.exp(-2j * np.pi * bin_ * k / 64)[:, None]).sum(axis=0)
        expected = [left.real, left.imag, right.real, right.imag]
        np.testing.assert_allclose(image[:, bin_, frame], expected, atol=1e-5)


def _mirrored(index: Any, length: int) -> Any:
    return (length - 1) - np.abs((length - 1) - np.abs(index))


@pytest.mark.parametrize(("n_fft", "hop"), [(256, 64), (7680, 1024), (60, 16)])
def test_the_way_back_from_spectra_gives_the_sound(n_fft, hop):
    spectrogram = Spectrogram(n_fft, hop, n_fft // 2 + 1, 24)
    sound = np.stack([noise(spectrogram.length, seed) for seed in (1, 2)])
    np.testing.assert_allclose(spectrogram.synthesize(spectrogram.analyse(sound)), sound, atol=1e-6)


def test_frequencies_that_the_network_does_not_see_are_silent():
    spectrogram = Spectrogram(256, 64, 65, 64)  # up to a quarter of the rate
    t = np.arange(spectrogram.length)
    low, high = (np.sin(2 * np.pi * f * t) for f in (0.1, 0.4))
    sound = np.stack([low, low + high], axis=1).astype(np.float32)
    back = spectrogram.synthesize(spectrogram.analyse(sound[None]))[0]
    np.testing.assert_allclose(back[256:-256], np.stack([low, low], axis=1)[256:-256], atol=1e-3)


# -- the engine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [0, 1, 500, 3149, 3150, 3151, 20_000])
def test_a_graph_that_predicts_the_mix_as_the_voice_gives_the_mix(tmp_path, samples):
    separator = loaded(graph(tmp_path))
    assert separator.chunking.step == 3150
    sound = noise(samples)
    voice = joined(separator.voice(blocks(sound, 1024)))
    assert voice.shape == sound.shape
    np.testing.assert_allclose(voice, sound, atol=1e-6)


def test_where_no_accompaniment_is_predicted_the_voice_is_the_mix(tmp_path):
    sound = noise(20_000)
    separator = loaded(graph(tmp_path, "silence"), predicts="accompaniment", compensate=1.022)
    np.testing.assert_array_equal(joined(separator.voice([sound])), sound)


def test_the_voice_is_the_mix_minus_the_compensated_accompaniment(tmp_path):
    sound = noise(20_000)
    separator = loaded(graph(tmp_path), predicts="accompaniment", compensate=1.25)
    np.testing.assert_allclose(joined(separator.voice([sound])), -0.25 * sound, atol=1e-6)


@pytest.mark.parametrize("batch", ["batch_size", 1])
def test_random_weights_give_as_much_as_goes_in_however_it_comes(tmp_path, batch):
    """The signature of the published graphs, whose number of chunks is open, and one that takes a single chunk."""
    model = graph(tmp_path, "random", batch=batch)
    sound = noise(20_000)
    whole = joined(loaded(model).voice([sound]))
    assert whole.shape == sound.shape
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    assert np.abs(whole - sound).max() > 0.01, "the graph does something"
    in_pieces = joined(loaded(model, batch_size=3).voice(blocks(sound, 777)))
    np.testing.assert_allclose(in_pieces, whole, atol=1e-5)


def test_denoising_keeps_what_the_network_does_to_both_signs(tmp_path):
    sound = noise(10_000)
    same = joined(loaded(graph(tmp_path), denoise=True).voice([sound]))
    np.testing.assert_allclose(same, sound, atol=1e-6)
    model = graph(tmp_path, "random")
    voices = [joined(loaded(model, denoise=d).voice([s])) for d, s in [(False, sound), (False, -sound), (True, sound)]]
    np.testing.assert_allclose(voices[2], (voices[0] - voices[1]) / 2, atol=1e-5)


def test_the_published_model_is_known_by_its_name(tmp_path):
    """Inst_HQ_3's shape: 3072 frequencies and 256 frames; all else comes from the table."""
    model = mdx.make(tmp_path / "UVR-MDX-NET-Inst_HQ_3.onnx", effect="silence")
    by_name = UvrMdx(model=str(tmp_path), device="cpu")
    assert by_name.model_files() == [model]
    separator = by_name.load()
    assert (separator.predicts, separator.compensate) == ("accompaniment", 1.022)
    assert separator.spectrogram == Spectrogram(6144, 1024, 3072, 256)
    assert separator.chunking == Chunking(261_120, 22_050)


def test_half_a_frame_is_thrown_away_at_least(tmp_path):
    """As published: frames at the ends of a chunk hold mirrored sound."""
    assert loaded(graph(tmp_path), margin=0).chunking.margin == N_FFT // 2


def test_what_is_not_known_of_a_model_is_asked_for(tmp_path):
    unknown = UvrMdx(model=str(graph(tmp_path)))
    with pytest.raises(
        EngineUnavailable, match=r"does not know the model identity.onnx: set its n_fft, predicts, compensate"
    ):
        unknown.fetch()
    UvrMdx(model=unknown.model, n_fft=N_FFT, predicts="voice").fetch()


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(EngineUnavailable, match=f"there is no model {tmp_path}/x.onnx"):
        engine(tmp_path / "x.onnx").fetch()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": 0.5}, "chunks of 4032 samples leave nothing between margins of 22050"),
        ({"n_fft": 128}, "fewer than the 129 frequencies"),
        ({"hop": 200}, "at least twice the hop"),
    ],
)
def test_settings_that_do_not_fit_the_graph_are_told(tmp_path, settings, message):
    with pytest.raises(EngineUnavailable, match=message):
        loaded(graph(tmp_path), **settings)


def test_another_graph_is_no_model(tmp_path):
    with pytest.raises(EngineUnavailable, match="is not a UVR MDX-Net"):
        loaded(graph(tmp_path, batch=2))
    (tmp_path / "text.onnx").write_text("nothing of the kind")
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        loaded(tmp_path / "text.onnx")


def test_a_gpu_that_onnxruntime_cannot_use_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    model = graph(tmp_path)
    assert UvrMdx(model=str(model)).devices() == []
    with pytest.raises(EngineUnavailable, match="onnxruntime-gpu"):
        loaded(model, device="cuda")


def test_the_default_is_the_file_that_emilia_takes_and_no_other_of_that_name(tmp_path, monkeypatch):
    default = make_engine("separator", "uvr-mdx")
    (model,) = default.hub_models()
    assert model.files == ("UVR-MDX-NET-Inst_HQ_3.onnx",)
    mdx.make(tmp_path / model.files[0], bins=16, frames=16)
    monkeypatch.setattr(models, "fetch_model", lambda model: tmp_path)
    with pytest.raises(EngineUnavailable, match="is not the file that UVR published"):
        default.fetch()


def test_only_what_changes_the_voice_changes_the_identity(tmp_path):
    model = graph(tmp_path)
    same = engine(model).identity()
    assert engine(model, threads=3, batch_size=5).identity() == same
    assert engine(graph(tmp_path / "elsewhere")).identity() == same
    assert engine(tmp_path, file="identity.onnx").identity() == same
    assert engine(graph(tmp_path, "silence")).identity()["model"] != same["model"]
    for change in ({"margin": 0.02}, {"denoise": True}, {"compensate": 1.1}, {"predicts": "accompaniment"}):
        assert engine(model, **change).identity() != same


# -- any recording ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_separators_get_stereo_at_their_rate(channels, rate):
    t = np.arange(2 * rate) / rate
    planar = np.stack([0.1 * (c + 1) * np.sin(2 * np.pi * 300 * t) for c in range(channels)]).astype(np.float32)
    got = joined(to_stereo([planar[:, :3000], planar[:, 3000:]], rate))
    assert abs(len(got) - 2 * SEPARATION_RATE) <= 1
    left, right = (1, 2) if channels == 2 else (np.arange(1, channels + 1).mean(),) * 2
    tone = 0.1 * np.sin(2 * np.pi * 300 * np.arange(len(got)) / SEPARATION_RATE)
    inner = slice(2000, -2000)  # the resampler's ends aside
    np.testing.assert_allclose(got[inner], np.stack([left * tone, right * tone], axis=1)[inner], atol=1e-3)


@pytest.mark.parametrize(("channels", "rate"), [(2, 44_100), (1, 44_100), (2, 22_050)])
def test_a_separator_that_takes_nothing_out_leaves_the_working_audio(stereo, tmp_path, channels, rate):
    sound = stereo[:, :channels]
    original = encode(sound if rate == RATE else sound[::2], rate)
    plain = make_working_audio(original, tmp_path / "plain.flac")
    through = make_working_audio(original, tmp_path / "through.flac", PassThrough())
    assert (through.duration, through.probe) == (plain.duration, plain.probe)
    assert abs(through.samples - plain.samples) <= 1
    samples = [
        read_working_audio(tmp_path / f"{name}.flac")[: plain.samples - 1] / 32768 for name in ("plain", "through")
    ]
    np.testing.assert_allclose(samples[1], samples[0], atol=2e-4 if rate == RATE else 5e-3)


def test_levels_are_those_of_the_original(stereo, tmp_path):
    class Silence(PassThrough):
        def voice(self, chunks: Iterable[Stereo]) -> Iterator[Stereo]:
            return (0 * c for c in chunks)

    working = make_working_audio(encode(stereo, RATE), tmp_path / "w.flac", Silence())
    assert working.peak == pytest.approx(np.abs(stereo).max(), abs=1e-3)
    assert not read_working_audio(tmp_path / "w.flac").any()


def test_a_separator_that_loses_samples_is_found_out():
    class Short(PassThrough):
        def voice(self, chunks: Iterable[Stereo]) -> Iterator[Stereo]:
            return (c[1:] for c in chunks)

    planar = noise(10).T
    with pytest.raises(SeparationFailed, match="pass-through returned 9 samples for 10"):
        list(separate_voice(Short(), [planar], SEPARATION_RATE))


# -- ingest ----------------------------------------------------------------------------------------------------------


class Broken(Engine):
    """An engine whose separator fails as ONNX Runtime does."""

    name: ClassVar[str] = "broken"

    def load(self, device: str | None = None) -> Any:
        class Fails:
            name = "broken"

            def voice(self, chunks: Iterable[Stereo]) -> Iterator[Stereo]:
                yield next(iter(chunks))
                raise RuntimeError("bad allocation of a node\nand more lines")

        return Fails()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


@pytest.fixture
def silencer(tmp_path: Path) -> UvrMdx:
    """A separator that takes everything for music."""
    return engine(graph(tmp_path), predicts="accompaniment")


class Ingested(NamedTuple):
    run: StageRun
    rows: pl.DataFrame

    @property
    def key(self) -> str:
        return self.rows["working"].item()


def ingest(store: Store, original: bytes, separator: Engine | None = None) -> Ingested:
    """One episode, committed with the columns that ingest fills."""
    sha = hashlib.sha256(original).hexdigest()
    key = f"audio/original/{sha[:2]}/{sha}.flac"
    store.write(key, original)
    stage = Ingest(store, separator)
    run = run_stage(stage, "b1", [ingest_episode("e1", "e1.flac", sha, key)], store, Local(stage, 2))
    assert store.path(key).read_bytes() == original
    rows = run.table()
    run.commit(store, pl.DataFrame(rows.to_dicts(), schema=schema(RAW_AUDIO)))
    return Ingested(run, rows)


def test_separated_working_audio_has_a_key_of_its_own_and_the_old_one_comes_back(stereo, store, silencer):
    original = encode(stereo, RATE)
    sha = hashlib.sha256(original).hexdigest()
    plain = ingest(store, original)
    assert plain.key == working_key(sha)
    heard = store.path(plain.key).read_bytes()

    voice = ingest(store, original, silencer)
    assert voice.key != plain.key
    assert voice.key.startswith(f"audio/working/{sha[:2]}/{sha}-")
    left = read_working_audio(store.path(voice.key).read_bytes())
    assert len(left) == len(read_working_audio(heard))
    assert np.abs(left).max() <= 1
    assert voice.run.provenance["engine"].item() == "uvr-mdx"
    assert voice.rows.drop("working", "fingerprint").equals(plain.rows.drop("working", "fingerprint"))
    assert store.path(plain.key).read_bytes() == heard

    again = ingest(store, original)
    assert again.run.ran == 1
    assert again.rows.equals(plain.rows)
    assert store.path(plain.key).read_bytes() == heard
    assert store.exists(voice.key), "nobody's work is removed"


def test_what_is_separated_is_not_separated_again(stereo, store, silencer):
    original = encode(stereo, RATE)
    assert [ingest(store, original, silencer).run.ran for _ in range(2)] == [1, 0]
    assert ingest(store, original, silencer.model_copy(update={"threads": 2})).run.ran == 0
    assert ingest(store, original, silencer.model_copy(update={"denoise": True})).run.ran == 1


def test_an_episode_whose_separator_fails_has_failed_and_says_why(stereo, store):
    run, rows = ingest(store, encode(stereo, RATE), Broken())
    failure = run.failures.row(0, named=True)
    assert failure["message"] == "the separator broken failed with RuntimeError: bad allocation of a node"
    assert not failure["permanent"]
    assert rows.is_empty()
    assert not list(Path(str(store.path("audio/working"))).rglob("*.*")), "no half of a working audio is left"


def test_a_truncated_file_is_the_files_fault_with_a_separator_too(stereo, store, silencer):
    run, _ = ingest(store, encode(stereo, RATE)[:200_000], silencer)
    failure = run.failures.select("error_type", "permanent")
    assert failure.equals(pl.DataFrame({"error_type": ["TruncatedAudio"], "permanent": [True]}))
