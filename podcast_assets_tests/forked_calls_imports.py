"""What the processes of `forked_calls` find imported already. Importing it starts no thread and reads no setting that a test changes."""

import alembic.command  # noqa: F401
import dagster._core.execution.execute_in_process
import dagster._core.instance.factory
import dagster._core.remote_representation
import dagster._core.storage.legacy_storage  # noqa: F401
import sqlalchemy.dialects.sqlite  # noqa: F401

import podcast_assets.cli
import podcast_assets.dataset.opened
import podcast_assets.dataset.release
import podcast_assets.dataset.sample
import podcast_assets.dataset.takedown
import podcast_assets.dataset.targets.choose
import podcast_assets.dataset.targets.hub
import podcast_assets.dataset.verify
import podcast_assets.definitions
import podcast_assets.instance
import podcast_assets.plots_quality
import podcast_assets.release_job
import podcast_assets.run_history  # noqa: F401
