"""An asset takes the pool `gpu` if and only if one of its engines may use a GPU under the loaded profile."""

import importlib
import pkgutil
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from podcast_assets import stages
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.config.settings import Settings
from podcast_assets.defs import build as definitions
from podcast_assets.defs.build import build_definitions
from podcast_assets.engines import engine as engines
from podcast_assets.engines import onnx_sessions
from podcast_assets.engines.engine import Engine
from podcast_assets.speech.diarizers.sortformer import nemo_process
from podcast_assets.speech.routing import Route, RoutedEngine
from podcast_assets.speech.transcribers import sherpa
from podcast_assets.stages import profiles
from podcast_assets.stages.profiles import components
from podcast_assets.stages.requirements import GPU_POOL, devices, gpu_pool
from podcast_assets_tests.conftest import CHECKOUT

GPUS = 2
DNSMOS_ON_CPU = {"dnsmos": {"device": "cpu"}}
SETTINGS: list[dict[str, Any]] = [
    *({"profile": name} for name in ("auto", *profiles.DESCRIPTIONS)),
    *({"profile": name, "separator": "uvr-mdx"} for name in ("auto", "embedded", "cpu", "gpu")),
    {"profile": "cpu", "separator": "uvr-mdx", "engines": {"uvr-mdx": {"device": "cuda"}}},
    {"profile": "gpu", "separator": "uvr-mdx", "engines": {"uvr-mdx": {"device": "cpu"}}},
    {"profile": "gpu", "engines": DNSMOS_ON_CPU},
    {"profile": "gpu", "engines": DNSMOS_ON_CPU, "text_care": "punctuation"},
    {"profile": "cpu", "text_care": "punctuation"},
    {"profile": "embedded", "engines": {"dnsmos": {"device": "auto"}}},
    {"profile": "gpu", "diarizer": "embedded"},
    {"profile": "gpu", "diarizer": "sortformer"},
    {"profile": "cpu", "diarizer": "pyannote"},
    {"profile": "cpu", "diarizer": "pyannote", "engines": {"pyannote": {"device": "cuda"}}},
    {"profile": "gpu", "routes": "*=pocketsphinx"},
    {"profile": "gpu", "routes": "*=pocketsphinx>faster-whisper"},
    {"profile": "gpu", "routes": "en=pocketsphinx,zh=firered"},
    {"profile": "gpu", "routes": "*=pocketsphinx", "aligner": "ctc"},
    {"profile": "gpu", "routes": "*=pocketsphinx", "aligner": "ctc", "engines": {"ctc": {"device": "cuda"}}},
    {"profile": "gpu", "routes": "*=pocketsphinx", "second_transcriber": "parakeet"},
    {"profile": "cpu", "second_transcriber": "parakeet"},
]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with GPUs on which everything is installed, as far as engines ask."""
    cuda = SimpleNamespace(is_available=lambda: True, device_count=lambda: GPUS)
    able = SimpleNamespace(get_available_providers=lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("podcast_assets.engines.gpus.has_driver", lambda: True)
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: GPUS)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(onnx_sessions, "_import_onnxruntime", lambda: able)
    monkeypatch.setattr(sherpa, "_supports_gpus", lambda: True)
    monkeypatch.setattr(nemo_process, "gpu_count", lambda _: GPUS)
    monkeypatch.setattr(profiles, "check_available", lambda _: (True, ""))


def pools(settings: Settings) -> dict[str, set[str]]:
    graph = build_definitions(settings).resolve_asset_graph()
    return {key.to_user_string(): set(graph.get(key).pools or ()) for key in graph.materializable_asset_keys}


@pytest.mark.parametrize("values", SETTINGS, ids=str)
def test_an_asset_takes_the_pool_if_and_only_if_one_of_its_engines_may_use_a_gpu(
    values: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """The definitions are built on a machine without GPUs and models; the engines are those of a machine that has them."""
    settings = Settings(**values)
    found = pools(settings)
    request.getfixturevalue("gpus")
    profile = profiles.choose_profile(settings)
    for asset in definitions._BATCH_ASSETS:
        held = [
            d for s in asset.stages if (e := s.engine_of(profile)) for part in components(e) for d in part.devices()
        ]
        assert (found[asset.key.to_user_string()] == {"gpu"}) == bool(held), asset.key
        assert bool([d for s in asset.stages for d in devices(s.engine_of(profile))]) == bool(held), "the worker, too"


def test_every_stage_with_an_engine_is_declared_by_the_asset_that_runs_it() -> None:
    """Else the asset would run it without a slot."""
    modules = [
        importlib.import_module(f"podcast_assets.stages.{m.name}") for m in pkgutil.iter_modules(stages.__path__)
    ]
    classes = {v for m in modules for v in vars(m).values() if isinstance(v, type) and v.__module__ == m.__name__}
    with_engine = {c for c in classes if "engine" in getattr(c, "__dataclass_fields__", {})}
    assert with_engine == {s for asset in definitions._BATCH_ASSETS for s in asset.stages}
    for asset in definitions._BATCH_ASSETS:
        module = importlib.import_module(f"podcast_assets.defs.assets.{asset.key.to_user_string()}")
        assert with_engine.intersection(v for v in vars(module).values() if isinstance(v, type)) == set(asset.stages)


def test_profiles_on_cpus_take_no_pool_and_a_separator_on_a_gpu_does() -> None:
    for name in profiles.CPU_PROFILES:
        settings = Settings(profile=name, separator="uvr-mdx", text_care="punctuation")  # type: ignore[arg-type]
        assert {p for found in pools(settings).values() for p in found} == {"release"}
    assert pools(Settings(profile="gpu", separator="uvr-mdx"))["raw_audio"] == {"gpu"}
    assert not pools(Settings(profile="gpu"))["raw_audio"]


def test_loading_the_definitions_asks_neither_driver_nor_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: Any) -> None:
        pytest.fail("asked")

    monkeypatch.setattr("ctranslate2.get_cuda_device_count", asked)
    monkeypatch.setattr("podcast_assets.engines.gpus.gpu_count", asked)
    monkeypatch.setattr(nemo_process, "gpu_count", asked)
    monkeypatch.setattr(profiles, "check_available", asked)
    build_definitions(Settings(profile="auto", separator="uvr-mdx", diarizer="auto", text_care="punctuation"))


def test_wrong_settings_of_engines_are_told_by_the_run_and_not_by_a_location_that_does_not_load() -> None:
    assert pools(Settings(scorers="no-such-scorer"))["quality_scores"] == {"gpu"}


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize("engine", [e for kind in engines.FOLDERS for e in engines.engines(kind)], ids=str)
def test_an_engine_that_never_uses_a_gpu_holds_no_device(engine: type[Engine]) -> None:
    with_device = "device" in engine.model_fields
    for settings in ({"device": "cpu"}, {"device": "auto"}, {"device": "cuda"}) if with_device else ({},):
        one = engine(**settings)
        assert bool(one.devices()) == (one.gpu_use() != "never"), settings


class OnGpu(Engine):
    """An engine that has no setting for it."""

    def devices(self) -> list[str]:
        return ["cuda:0"]


class Broken(OnGpu):
    """One whose device cannot be used here."""

    def devices(self) -> list[str]:
        raise EngineUnavailable("no GPU here")


class OnCpu(Engine):
    """One that holds nothing."""


def test_a_fallback_on_a_gpu_holds_it_and_one_that_is_not_available_stops_nobody() -> None:
    routed = RoutedEngine(routes=(Route(language="*", chain=(OnCpu(), OnGpu(), Broken())),))
    assert routed.gpu_use() == "optional"
    assert routed.devices() == ["cuda:0"]
    with pytest.raises(EngineUnavailable):
        RoutedEngine(routes=(Route(language="*", chain=(Broken(),)),)).devices()


def test_the_documentation_names_the_stages_that_have_engines() -> None:
    text = (CHECKOUT / "docs/operations/queue.md").read_text()
    table = text[text.index("| asset | engines |") :].split("\n\n")[0]
    told = {asset: set(re.findall(r"`(\w+)`", names)) for asset, names in re.findall(r"\| `(\w+)` \| (.*) \|", table)}
    assert told == {a.key.to_user_string(): {s.name for s in a.stages} for a in definitions._BATCH_ASSETS if a.stages}


def test_the_pool_is_the_one_that_the_instance_files_and_the_command_name() -> None:
    assert gpu_pool([], profiles.widest_profile(Settings())) is None
    for name in ("dagster.yaml", "dagster.postgres.yaml", "docs/operations/queue.md", "podcast_assets/cli/main.py"):
        assert re.search(rf"pool `?{GPU_POOL}|{GPU_POOL} pool", Path(CHECKOUT / name).read_text()), name
