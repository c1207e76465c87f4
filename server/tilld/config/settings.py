"""The settings and their defaults. Only this package reads the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tilld.config import sources
from tilld.config.connections import Connections
from tilld.config.fields import ALL, PREFIX, RUN, SERVERS, Setting, setting
from tilld.config.limits import Limits
from tilld.config.values import (
    SQLITE,
    url_in,
)
from tilld.errors import OperatorError


class Config(Limits, Connections, BaseSettings):
    """All settings. Each has a variable, TILLD_… and its name; most have a flag."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )
    _origins: dict[str, sources.Origin]

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", ALL, "Lowest level that is logged: debug, info, warning or error."
    )
    log_format: Literal["text", "json"] = setting("text", ALL, "Format of the log: text or json.")
    no_color: Annotated[bool, BeforeValidator(bool)] = setting(
        False,
        ALL,
        "Turn off the colors of the log; the variable may have any value. Only a terminal has colors.",
        validation_alias="NO_COLOR",
    )
    simulated_payment_seconds: float = setting(
        0.5,
        RUN,
        "Seconds that a payment takes on the simulated node. Its invoice may expire meanwhile.",
        ge=0,
    )
    heartbeat_seconds: float = setting(
        15,
        RUN,
        "Seconds between heartbeats on a silent event stream, so that no proxy closes it. "
        "Envoy closes a silent one after 60 s.",
        gt=0,
    )
    grace_seconds: float = setting(
        5, SERVERS, "Seconds that calls in flight have to finish when Till stops.", ge=0
    )
    grpc_experiments: str = setting(
        "-event_engine_client,-event_engine_listener",
        RUN,
        "Experiments of grpc core, by name; - disables one. Its event engine is slower here.",
    )

    def __init__(self, origins: Mapping[str, sources.Origin] | None = None, /, **values: Any) -> None:
        """Take values only from here. `origins` has their sources, for error messages and `tilld config`."""
        super().__init__(**values)
        self._origins = dict(origins or {})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *args: Any,
        **others: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the only source of the constructor: its arguments."""
        return (init_settings,)

    @classmethod
    def load(cls, **flags: Any) -> "Config":
        """Read the settings: flags, then variables, then the file, then defaults.

        A flag that is None was not given. Raises OperatorError for an invalid value, naming its source.
        """
        if flags.get("rest") and flags.get("no_rest"):
            raise OperatorError("--rest and --no-rest exclude each other; give one")
        given = sources.collect(cls, SETTINGS, flags)
        origins = {name: each.origin for name, each in given.items()}
        try:
            return cls(origins, **{name: each.value for name, each in given.items()})
        except ValidationError as invalid:
            raise sources.explain(invalid, SETTINGS, origins) from None

    def origin(self, name: str) -> sources.Origin:
        """Return the source of a setting's value."""
        return self._origins.get(name, sources.Origin("default"))

    def prepare_grpc(self) -> None:
        """Set the environment variables that grpc reads when it is imported."""
        os.environ.setdefault("GRPC_EXPERIMENTS", self.grpc_experiments)
        # Till logs failures itself, in one line.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")

    @property
    def colors(self) -> bool:
        """Return whether the log may have colors (https://no-color.org)."""
        return not self.no_color

    @property
    def simulated_rpc_file(self) -> Path:
        """The socket of the simulated node."""
        return self.data_dir / "lightning-rpc"

    @property
    def database_url(self) -> str:
        """The URL of the database, by default that of a SQLite file in the data directory.

        Raises OperatorError if the file with the URL cannot be read.
        """
        if self.database_file:
            return url_in(self.database_file)
        return self.database or f"{SQLITE}{self.data_dir / 'till.db'}"


SETTINGS = tuple(Setting.of(*each) for each in Config.model_fields.items())
