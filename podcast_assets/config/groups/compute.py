"""Settings of where and how stages compute."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from podcast_assets.config.groups.group import SettingsGroup, check_without_secrets


class ComputeSettings(SettingsGroup):
    """Where stages compute, and on how many workers."""

    heading: ClassVar = "Compute"

    prefetch: int = Field(default=2, ge=1, description="Episodes decoded ahead of the model.")
    compute: Literal["local", "ray"] = Field(
        default="local",
        description="Where stages compute: on this machine, in the run's own process, or on Ray workers (docs/guides/gpus.md).",
    )
    ray_address: str | None = Field(
        default=None,
        description="Ray cluster: host:port from one of its machines, ray://host:10001 from elsewhere. Unset: Ray on this "
        "machine.",
    )
    min_workers: int = Field(default=1, ge=1, description="Minimum number of Ray workers of a stage.")
    max_workers: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of Ray workers of a stage. Unset: as many as the cluster has room for.",
    )
    workers_per_gpu: int = Field(default=1, ge=1, description="Ray workers that share one GPU.")
    worker_cpus: float = Field(default=1.0, gt=0, description="CPU cores of a Ray worker.")
    gpus: str | None = Field(
        default=None,
        description="GPUs of this machine that may be used, such as 0,2. Unset: all that CUDA_VISIBLE_DEVICES shows.",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        description="Seconds that a worker may take without finishing an episode; then it is ended and the episode fails. Unset: "
        "7200 on Ray; none in the run's own process. If it is set there, stages that load models run in a child process each, "
        "which can be ended.",
    )

    _check_ray_address = field_validator("ray_address")(check_without_secrets)
