"""The shape of `sources.yaml`: where facts come from and how their columns become the input contract.

What the mapping asks of the gate travels with each load as `raw.loads.options`, one JSON object with every key:

- `key`: `column`, or `generated` = the gate makes the key from the raw line and its ordinal among identical lines;
- `group`: null, or `order_id` = lines of one order are one purchase with the amounts summed;
- `content_excludes`: columns that say nothing about the content (an `updated_at` made from the load's time);
- `mapped`: contract columns that the mapping gives;
- `reads`: the columns of the source that each of them is made from;
- `sparse`: lines leave out what they do not need, so a column that none of a few lines has is no missing one;
- `cancellation_prefixes`: how order ids of cancellations begin, where the mapping tells them by that;
- `keywords`: of loads of messages, the groups of words that texts are searched for.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from config.campaign import Duration, Name
from config.errors import ConfigError, Problem, problems_of
from config.settings import ZoneName, read_yaml

EntityName = Literal[
    "customers",
    "purchases",
    "checkouts",
    "events",
    "conversations",
    "messages",
    "ads",
    "consents",
    "push_tokens",
    "visits",
]
Kind = Literal["id", "text", "time", "number", "json", "flag"]


@dataclass(frozen=True)
class Entity:
    """One entity of the input contract: its columns in order, what each holds, which must be there.

    `sometimes` are required columns that only some rows need, such as the basis of a consent that was granted.
    """

    columns: dict[str, Kind]
    required: frozenset[str]
    sometimes: frozenset[str]

    @property
    def key(self) -> str:
        """The first column tells one row from another."""
        return next(iter(self.columns))


def _entity(text: str) -> Entity:
    """An entity from `name:kind name?:kind name~:kind` (? optional, ~ sometimes); a name without kind is text."""
    columns: dict[str, Kind] = {}
    required, sometimes = set(), set()
    for word in text.split():
        marked, _, kind = word.partition(":")
        name = marked.rstrip("?~")
        if not marked.endswith("?"):
            required.add(name)
        if marked.endswith("~"):
            sometimes.add(name)
        columns[name] = kind or "text"  # ty: ignore[invalid-assignment]
    return Entity(columns, frozenset(required), frozenset(sometimes))


ENTITIES: dict[str, Entity] = {
    "customers": _entity(
        "customer_id:id email? phone? first_name? last_name? language? country? region? time_zone? "
        "created_at?:time updated_at?:time"
    ),
    "purchases": _entity(
        "order_id:id customer_id:id purchased_at:time amount:number currency status coupon_code? items?:json "
        "updated_at:time cancels?:id"
    ),
    "checkouts": _entity(
        "checkout_id:id customer_id?:id visitor_id?:id email? first_name? last_name? status failure_reason? "
        "amount?:number currency? language? country? items?:json coupon_code? opened_at:time updated_at:time"
    ),
    "events": _entity("event_id:id customer_id:id name occurred_at:time properties?:json"),
    "conversations": _entity(
        "conversation_id:id customer_id:id channel account? ad_id?:id bot_id?:id opened_at:time milestone? "
        "milestone_at?:time updated_at:time"
    ),
    "messages": _entity("message_id:id conversation_id:id direction sender sent_at:time text? kind? bot_node?"),
    "ads": _entity("ad_id:id campaign_name bot_id?:id status updated_at:time"),
    "consents": _entity(
        "consent_id:id customer_id:id channel purpose status basis~ ad_user_data?:flag ad_personalization?:flag "
        "source wording? occurred_at:time expires_at?:time"
    ),
    "push_tokens": _entity("token_id:id customer_id:id endpoint platform active:flag updated_at:time"),
    "visits": _entity(
        "visit_id:id session_id:id visitor_id?:id customer_id?:id page_url previous_url? referrer? keyword? "
        "source_type? city? country? language? device? window_width?:number window_height?:number "
        "visit_number?:number custom?:json viewed_at:time left_at?:time"
    ),
}

# What a timestamp format may hold; the reading itself is in tasks/sources/mapping.py.
DIRECTIVES = frozenset("YymdbBHIMSfpz%")
NAMED_FORMATS = frozenset({"iso", "epoch_s", "epoch_ms"})
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Part):
    """How one contract column is made; exactly one of column, constant, product and parts says from what."""

    column: str | None = Field(None, min_length=1, description="column of the source (JSON Lines: path with dots)")
    constant: str | None = Field(None, min_length=1, description="the same value in every row")
    product: tuple[str, ...] | None = Field(
        None, min_length=2, description="amounts only: source columns to multiply, such as [Quantity, UnitPrice]"
    )
    parts: dict[Literal["product_id", "name", "quantity", "unit_price"], str] | None = Field(
        None, min_length=1, description="items only: one item from columns of the line, by item field"
    )
    words: dict[str, str] = Field({}, description="words of the source and the contract's word for each")
    prefixes: dict[str, str] = Field(
        {}, description='words told by how the value begins; the key "" stands for every other value'
    )
    without_prefix: str | None = Field(
        None, min_length=1, description="ids only: values that begin so, without it; any other value is left out"
    )
    format: tuple[str, ...] = Field(
        ("iso",), min_length=1, description="timestamps: iso, epoch_s, epoch_ms or a pattern such as %Y%m%d; first fit"
    )
    number: str | None = Field(
        None,
        pattern=r"^(plain|0+)$",
        description="ids that arrive as numbers: plain (17850), or zeros as wide as the id must be (00000)",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        """`order_id: InvoiceNo` is short for `order_id: {column: InvoiceNo}`; one format needs no list."""
        if isinstance(given, str | int | float):  # a number, or No read as false, is told as the column it stands for
            return {"column": given}
        if isinstance(given, Mapping) and isinstance(given.get("format"), str):
            return {**given, "format": [given["format"]]}
        return given

    @field_validator("format")
    @classmethod
    def _known_format(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in formats:
            if pattern in NAMED_FORMATS:
                continue
            used = re.findall(r"%(.?)", pattern.replace("%%", ""))
            if not used or not set(used) <= DIRECTIVES:
                message = "must be iso, epoch_s, epoch_ms or a pattern of %Y %y %m %d %b %B %H %I %M %S %f %p %z"
                raise ValueError(message)
        return formats

    @model_validator(mode="after")
    def _one_origin(self) -> Column:
        origins = [self.column, self.constant, self.product, self.parts]
        if sum(origin is not None for origin in origins) != 1:
            message = "name exactly one of column, constant, product and parts"
            raise ValueError(message)
        if self.column is None and (self.words or self.prefixes or self.without_prefix or self.number):
            message = "words, prefixes, without_prefix and number need a column"
            raise ValueError(message)
        return self

    def source_columns(self) -> tuple[str, ...]:
        """Columns of the source that this one is made from."""
        if self.parts is not None:
            return tuple(self.parts.values())
        return self.product or ((self.column,) if self.column is not None else ())


class _Source(_Part):
    """What every source says, whatever it is."""

    entity: EntityName = Field(description="what one row is: an entity of the input contract")
    columns: dict[str, Column] = Field(min_length=1, description="contract column: where it comes from")
    time_zone: ZoneName | None = Field(
        None, description="zone of timestamps without one; left out: such rows are quarantined"
    )
    missing_updated_at: str | None = Field(
        None, description="what stands in for updated_at: another timestamp column of the contract, or as_of"
    )
    decimal: Literal[".", ","] = Field(".", description="decimal mark of numbers; the other one groups thousands")
    group: Literal["order_id"] | None = Field(
        None, description="purchases only: several lines per order, amounts summed"
    )
    key: Literal["column", "generated"] = Field(
        "column", description="generated: no key in the file; made from the line and its ordinal among identical ones"
    )
    delivers: Literal["incremental", "full"] = Field(
        "incremental", description="incremental: what is new; full: everything each time"
    )
    fresh_within: Duration | None = Field(
        None, description="how old the newest row may be when it is loaded, such as 36h; left out: any age"
    )

    @property
    def shape(self) -> Entity:
        """The entity's columns."""
        return ENTITIES[self.entity]

    def options(self) -> dict[str, Any]:
        """What the gate needs of this mapping (raw.loads.options, described above)."""
        mapped = set(self.columns) | ({"updated_at"} if self.missing_updated_at else set())
        return {
            "key": self.key,
            "group": self.group,
            "content_excludes": ["updated_at"] if self.missing_updated_at == "as_of" else [],
            "mapped": [name for name in self.shape.columns if name in mapped],
            "reads": {name: list(column.source_columns()) for name, column in self.columns.items()},
            "sparse": False,
            "cancellation_prefixes": self._cancellation_prefixes(),
        }

    def _cancellation_prefixes(self) -> list[str]:
        """Beginnings of order ids that the mapping reads as anything but paid."""
        status, order = self.columns.get("status"), self.columns.get("order_id")
        if status is None or order is None or status.column is None or status.column != order.column:
            return []
        return sorted(prefix for prefix, word in status.prefixes.items() if prefix and word != "paid")

    def problems(self) -> Iterator[Problem]:
        """Findings that concern the mapping as a whole, each with its path below the source."""
        shape = self.shape
        for name in self.columns:
            if name not in shape.columns:
                known = ", ".join(shape.columns)
                yield Problem(f"columns.{name}", f"is no column of {self.entity}; there are: {known}")
        given = set(self.columns) | ({"updated_at"} if self.missing_updated_at else set())
        given |= {shape.key} if self.key == "generated" else set()
        for name in shape.columns:
            if name in shape.required and name not in given:
                hint = "; or say missing_updated_at" if name == "updated_at" else ""
                yield Problem(f"columns.{name}", f"is required by {self.entity}: map it, or give a constant{hint}")
        if self.key == "generated" and shape.key in self.columns:
            yield Problem("key", f"generated, but columns.{shape.key} is mapped; leave one of them out")
        if self.group and (self.entity != "purchases" or self.key == "generated"):
            yield Problem("group", "only purchases with an order_id in the file can be grouped")
        yield from self._fallback_problems()
        for name, column in self.columns.items():
            yield from _column_problems(f"columns.{name}", column, shape.columns.get(name, "text"))

    def _fallback_problems(self) -> Iterator[Problem]:
        other = self.missing_updated_at
        if other is None or other == "as_of":
            return
        if "updated_at" not in self.shape.columns:
            yield Problem("missing_updated_at", f"{self.entity} has no updated_at")
        elif self.shape.columns.get(other) != "time" or other not in self.columns or other == "updated_at":
            yield Problem("missing_updated_at", "must be as_of or another timestamp column that is mapped")


def _column_problems(path: str, column: Column, kind: Kind) -> Iterator[Problem]:
    if column.product and kind != "number":
        yield Problem(f"{path}.product", "only a number can be a product")
    if column.parts and not path.endswith(".items"):
        yield Problem(f"{path}.parts", "only items are made of parts")
    if column.format != ("iso",) and kind != "time":
        yield Problem(f"{path}.format", "only timestamps have a format")
    if (column.without_prefix or column.number) and kind != "id":
        yield Problem(path, "without_prefix and number are for ids")


def _not_elsewhere(place: str) -> str:
    if "://" in place and not place.startswith("s3://"):
        message = "must be a path or an s3:// address"
        raise ValueError(message)
    return place


Place = Annotated[str, Field(min_length=1), AfterValidator(_not_elsewhere)]
Reporter = Literal["email_sendgrid", "email_ses", "push_sns", "sms_aws", "whatsapp_aws", "whatsapp_cloud"]


class FileSource(_Source):
    """Files: delimited text, JSON Lines or Parquet, on this machine or in a bucket; gzip is recognised by itself."""

    kind: Literal["file"] = Field(description="files")
    place: Place = Field(
        description="path or s3:// address, with * ? [] for many; ${NAME} is an environment variable; relative to "
        "sources.yaml",
    )
    format: Literal["delimited", "jsonl", "parquet"] = Field("delimited", description="how the files are written")
    delimiter: str = Field(",", description="one character, tab, or whitespace (runs of blanks)")
    quote: str = Field('"', description='quote character, or "" when quotes mean nothing')
    header: tuple[str, ...] | None = Field(
        None, min_length=1, description="column names of files without a header line; left out: the first line"
    )
    encoding: str = Field("utf-8", description="character encoding, such as utf-8, cp1252, utf-16")

    def options(self) -> dict[str, Any]:
        """What the gate needs of this mapping; lines of JSON name only the columns that they have."""
        return super().options() | {"sparse": self.format == "jsonl"}

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str) -> str:
        if delimiter == "tab":
            return "\t"
        if delimiter != "whitespace" and (len(delimiter) != 1 or delimiter in '\r\n"'):
            message = "must be one character, tab or whitespace"
            raise ValueError(message)
        return delimiter

    @field_validator("quote")
    @classmethod
    def _one_quote(cls, quote: str) -> str:
        if len(quote) > 1:
            message = 'must be one character, or ""'
            raise ValueError(message)
        return quote

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            return codecs.lookup(encoding).name
        except LookupError:
            message = "is no encoding Python knows; utf-8, cp1252, iso-8859-15 and utf-16 are common"
            raise ValueError(message) from None


class SqlSource(_Source):
    """A database that SQLAlchemy can reach; its address is a secret and comes from the environment."""

    kind: Literal["sql"] = Field(description="a database")
    url_from: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="environment variable that holds the SQLAlchemy URL"
    )
    table: str | None = Field(
        None, pattern=r"^\w+(\.\w+)?$", description="table or view, with its schema where it needs one"
    )
    query: str | None = Field(None, min_length=1, description="one SELECT, instead of a table")
    cursor: str | None = Field(
        None, description="column that only grows (updated_at, id): rows from its last value on are read"
    )

    def problems(self) -> Iterator[Problem]:
        """What pydantic cannot see in one field."""
        yield from super().problems()
        if (self.table is None) == (self.query is None):
            yield Problem("table", "name a table, or a query")
        if self.key == "generated":
            yield Problem("key", "a database has keys: map the key column")


class _Archive(_Part):
    """Webhook bodies or events as they came: JSON Lines, one a line, here or in a bucket."""

    entity: ClassVar[str] = "reports"
    group: ClassVar[None] = None
    time_zone: ClassVar[None] = None
    delivers: ClassVar[str] = "incremental"

    place: Place = Field(
        description="path or s3:// address, with * ? [] for many; ${NAME} is an environment variable; relative to "
        "sources.yaml",
    )
    fresh_within: Duration | None = Field(
        None, description="how old the last load may be before the source counts as silent; left out: any age"
    )

    def problems(self) -> Iterator[Problem]:
        """What pydantic cannot see in one field."""
        yield from ()


class ReportSource(_Archive):
    """Archives of what providers report."""

    kind: Literal["reports"] = Field(description="archived webhooks")
    provider: Reporter = Field(description="whose reports they are")


class WhatsappSource(_Archive):
    """Archives of WhatsApp webhooks: messages make conversations and people, statuses are reports.

    Each archive is two loads: `reports` counts its lines, `messages` the messages in them.
    """

    entity: ClassVar[str] = "messages"

    kind: Literal["whatsapp"] = Field(description="archived webhooks of WhatsApp, conversations and all")
    provider: Literal["whatsapp_cloud", "whatsapp_aws"] = Field(
        "whatsapp_cloud", description="whose webhooks: Meta's own, or as Amazon's notifications wrap them"
    )


AnySource = FileSource | SqlSource | ReportSource | WhatsappSource
Source = Annotated[AnySource, Field(discriminator="kind")]


# The conditions of names are those of names of sources; a phrase of blanks and stars would be in every message.
Phrase = Annotated[str, Field(min_length=1, max_length=200, pattern=r"[^\s*]")]


class Sources(_Part):
    """`sources.yaml`: every source by name."""

    sources: dict[Name, Source] = Field({}, description="every source by its name")
    keywords: dict[Name, tuple[Phrase, ...]] = Field(
        {}, description="groups of words that the texts of messages are searched for when they are loaded"
    )


def load_sources(path: Path) -> dict[str, AnySource]:
    """Every source of a mapping, by name. Raises one ConfigError with all problems; a missing file has none."""
    sources = _read(path).sources
    found = [
        Problem(f"{path}: sources.{name}.{problem.where}", problem.what)
        for name, source in sources.items()
        for problem in source.problems()
    ]
    if found:
        raise ConfigError(*found)
    return dict(sources)


def load_keywords(path: Path) -> dict[str, tuple[str, ...]]:
    """The keyword groups of a mapping, by name. Raises ConfigError with all problems; a missing file has none."""
    return dict(_read(path).keywords)


def _read(path: Path) -> Sources:
    given = read_yaml(path) if path.exists() else None
    try:
        return Sources.model_validate({} if given is None else given)
    except ValidationError as error:
        raise ConfigError(*problems_of(error, str(path))) from None


def expand(text: str, where: str, environment: Mapping[str, str] | None = None) -> str:
    """A place with its ${NAME} replaced from the environment; an unset one is a ConfigError that names it."""
    values = os.environ if environment is None else environment
    missing = sorted({name for name in _VARIABLE.findall(text) if not values.get(name)})
    if missing:
        raise ConfigError(*(Problem(where, f"environment variable {name} is not set") for name in missing))
    return _VARIABLE.sub(lambda found: values[found[1]], text)
