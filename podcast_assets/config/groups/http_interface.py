"""Settings of the HTTP interface."""

from typing import ClassVar

from pydantic import Field

from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup


class HttpInterfaceSettings(SettingsGroup):
    """What programs may ask of the HTTP interface, and how often."""

    heading: ClassVar = "HTTP interface"

    api_requests_per_second: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=50.0,
        gt=0,
        description="Requests per second that a token may make of the HTTP interface; twice as many in a burst.",
    )
    api_waiting_limit: int = Field(
        json_schema_extra=DEPLOYMENT,
        default=10_000,
        ge=1,
        description="Submissions that may wait for their batch. More are refused until there are fewer.",
    )
    api_gather_seconds: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=30.0,
        ge=0,
        description="Longest time for which a submission waits for others, in seconds. 64 episodes become a batch at once.",
    )
    api_keep_days: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=30.0,
        gt=0,
        description="Days for which the status of a submission can be asked for, and its idempotency key holds.",
    )
    api_callback_hosts: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="",
        description="Hosts, such as jobs.example,localhost, that callbacks may go to even if their addresses are private.",
    )

    @property
    def callback_hosts(self) -> frozenset[str]:
        """Hosts that callbacks may go to even if their addresses are private."""
        return frozenset(host.strip().lower() for host in self.api_callback_hosts.split(",") if host.strip())
