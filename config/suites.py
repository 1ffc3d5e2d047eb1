"""The shape of `suites/<entity>.yaml`: what a whole load of an entity must look like before it is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from config.errors import ConfigError, Problem, problems_of
from config.settings import read_yaml
from config.sources import ENTITIES

# Answered by the columns that an extract had, under the contract's names for what the mapping reads from it.
COLUMN_SET = "expect_table_columns_to_match_set"

# Expectations that carry SQL of their own would run it under the pipeline's login.
_WITH_SQL = frozenset({"expect_query_results_to_match_comparison", "expect_table_row_count_to_equal_other_table"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expectation(_Part):
    """One expectation of Great Expectations, by its own name and arguments."""

    type: str = Field(pattern=r"^expect_[a-z_]+$", description="its name in the Great Expectations gallery")
    kwargs: dict[str, Any] = Field({}, description="its arguments, such as column, mostly, value_set, min_value")
    severity: Literal["critical", "warning"] = Field(
        "critical", description="critical holds the load and the campaigns that read it; warning is only noted"
    )
    tolerate: int = Field(
        5, ge=0, description="so many bad lines are only noted whatever their share: a small load is no trend"
    )
    because: str = Field("", max_length=300, description="what it protects against, shown when it fails")
    ungrouped: bool = Field(False, description="left out where several lines make one order")

    @field_validator("type")
    @classmethod
    def _no_sql(cls, name: str) -> str:
        if name in _WITH_SQL:
            message = "expectations with SQL of their own are not accepted here"
            raise ValueError(message)
        return name


class Volume(_Part):
    """How many lines a load may have, as shares of the median of the loads before it."""

    at_least: float = Field(0.4, ge=0, description="smallest share of the median, 0.4 = 60 % fewer lines")
    at_most: float = Field(4.0, gt=0, description="largest share of the median, 4 = 300 % more lines")
    slack: int = Field(100, ge=0, description="lines more or fewer that never matter, as long as there are any")
    loads: int = Field(7, ge=3, le=100, description="how many loads before it count")
    least_history: int = Field(3, ge=1, description="with fewer loads before it, any number passes")

    @model_validator(mode="after")
    def _in_order(self) -> Volume:
        if self.at_least > self.at_most:
            message = "at_least lies above at_most"
            raise ValueError(message)
        return self


class Suite(_Part):
    """One entity's suite."""

    freshness: str | None = Field(None, description="timestamp column that says how fresh a load is (fresh_within)")
    volume: Volume | None = Field(Volume(), description="how many lines a load may have; null: any number")
    expectations: tuple[Expectation, ...] = Field((), description="what the load must look like")


def load_suite(folder: Path, entity: str) -> Suite:
    """The suite of one entity. Raises ConfigError with every problem of the file; a missing file is one."""
    path = folder / f"{entity}.yaml"
    given = read_yaml(path)
    try:
        suite = Suite.model_validate({} if given is None else given)
    except ValidationError as error:
        raise ConfigError(*problems_of(error, str(path))) from None
    shape = ENTITIES[entity].columns
    found = []
    if suite.freshness is not None and shape.get(suite.freshness) != "time":
        found.append(Problem(f"{path}: freshness", f"{suite.freshness} is no timestamp column of {entity}"))
    for place, entry in enumerate(suite.expectations):
        unknown = [name for name in entry.kwargs.get("column_set") or () if name not in shape]
        if entry.type == COLUMN_SET and unknown:
            where = f"{path}: expectations.{place}.kwargs.column_set"
            found.append(Problem(where, f"{', '.join(map(str, unknown))}: no column of {entity}"))
    if found:
        raise ConfigError(*found)
    return suite


def load_suites(folder: Path) -> dict[str, Suite]:
    """Every entity's suite. Raises one ConfigError with the problems of all of them."""
    suites, problems = {}, []
    for entity in ENTITIES:
        try:
            suites[entity] = load_suite(folder, entity)
        except ConfigError as error:
            problems += error.problems
    known = {f"{entity}.yaml" for entity in ENTITIES}
    problems += [
        Problem(str(path), "is no entity of the input contract")
        for path in sorted(folder.glob("*.yaml"))
        if path.name not in known
    ]
    if problems:
        raise ConfigError(*problems)
    return suites
