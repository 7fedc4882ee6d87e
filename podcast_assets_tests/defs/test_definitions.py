"""What Dagster loads: without any ML package, with limits where they bind."""

import subprocess
import sys
import textwrap
from pathlib import Path

import dagster as dg
import yaml

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import BATCHES_PER_RUN
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.checks.tables import SPECS
from podcast_assets.defs.instance import LOCAL, POSTGRES
from podcast_assets.defs.launch import split_into_ranges
from podcast_assets.defs.runs.tags import PRIORITIES, run_tags
from podcast_assets.store.schema import ASSETS, TABLES
from podcast_assets.store.stage_names import OPTIONAL_STAGES, STAGES, TABLE_STAGES
from podcast_assets_tests.conftest import CHECKOUT

HEAVY = (
    "av ctranslate2 datasets faster_whisper huggingface_hub matplotlib nemo numba onnxruntime pocketsphinx pyannote ray scipy "
    "sklearn soundfile soxr speechmos tokenizers torch transformers pyloudnorm"
).split()


def test_definitions_load_where_no_ml_package_is_installed() -> None:
    """The packages are made unimportable, in a process of its own: an import of one of them would end it."""
    program = textwrap.dedent(
        f"""
        import sys
        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {HEAVY!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        sys.meta_path.insert(0, Missing())
        from podcast_assets.definitions import defs
        import dagster as dg
        dg.Definitions.validate_loadable(defs)
        from podcast_assets.engines.engine import FOLDERS, engines
        print(len(defs.resolve_asset_graph().materializable_asset_keys), sum(1 for kind in FOLDERS for _ in engines(kind)))
        """
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assets, engines = map(int, result.stdout.split())
    assert assets == 13
    assert engines >= 4


def test_every_asset_has_its_table_stage_and_checks() -> None:
    graph = build_definitions().resolve_asset_graph()
    partitioned = [key for key in graph.materializable_asset_keys if graph.get(key).is_partitioned]
    names = {key.to_user_string() for key in partitioned} - {"catalog"}
    assert names == set(TABLES) == set(TABLE_STAGES) == set(SPECS) - {"catalog"}
    assert set(ASSETS) == set(STAGES) == names - set(OPTIONAL_STAGES)
    for key in partitioned:
        node = graph.get(key)
        assert node.description
        assert node.owners
        assert node.kinds
        assert node.code_version
        assert node.group_name != "default"
        if key == dg.AssetKey("catalog"):
            continue  # its tables are not the store's
        columns = node.metadata["dagster/column_schema"].columns
        assert [c.name for c in columns] == list(TABLES[key.to_user_string()])
        assert all(c.description for c in columns)


def test_releases_go_one_at_a_time_and_in_no_batch() -> None:
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    dataset = graph.get(dg.AssetKey("hf_dataset"))
    assert dataset.pools == {"release"} and not dataset.is_partitioned
    parents = ("hf_shards", "episode_shards", "content_flags", "review_decisions")
    assert dataset.parent_keys == {dg.AssetKey(name) for name in parents}
    assert "hf_dataset" not in {n.name for n in definitions.resolve_job_def("podcast_dataset").nodes}
    assert {n.name for n in definitions.resolve_job_def("release_dataset").nodes} == {"hf_dataset"}


def test_the_instance_file_is_one_that_dagster_takes(tmp_path: Path) -> None:
    content = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text())
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(content))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_retries_enabled
        assert instance.get_settings("run_retries")["retry_on_asset_or_op_failure"]
        assert instance.run_monitoring_enabled
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1


def test_the_two_instance_files_differ_in_storage_only() -> None:
    local, postgres = (yaml.safe_load((CHECKOUT / name).read_text()) for name in (LOCAL, POSTGRES))
    assert "storage" not in local
    storage = postgres.pop("storage")["postgres"]["postgres_db"]
    assert postgres == local
    assert storage["scheme"] == "postgresql+psycopg2"
    assert storage["password"] == {"env": "DAGSTER_POSTGRES_PASSWORD"}


def test_new_batches_go_before_people_and_backfills_come_last() -> None:
    tags = {source: run_tags(source, Settings(max_runtime_hours=2)) for source in PRIORITIES}
    order = sorted(("sensor", "command", "retry", "backfill"), key=lambda s: -int(tags[s]["dagster/priority"]))
    assert order == ["sensor", "command", "retry", "backfill"]
    assert {t["dagster/max_runtime"] for t in tags.values()} == {"7200"}
    job = build_definitions(Settings(max_runtime_hours=2)).resolve_job_def("podcast_dataset")
    assert job.run_tags == job.tags == {"dagster/max_runtime": "7200"}


def test_a_backfill_is_cut_into_contiguous_runs() -> None:
    order = [f"b{n}" for n in range(25)]
    assert [len(c) for c in split_into_ranges(order, order)] == [BATCHES_PER_RUN, BATCHES_PER_RUN, 5]
    assert list(split_into_ranges(["b0", "b1", "b5", "b6", "b9"], order)) == [["b0", "b1"], ["b5", "b6"], ["b9"]]
    assert list(split_into_ranges([], order)) == []
