"""From a template and a person to the words that leave: sandboxed, linted at load, pinned by hash.

A template may only show values, choose between texts and use a few filters; it has no loops, calls or
arithmetic, so nothing a template says can run, hang or read anything else (H11, H14). What a variable may be
is known when it is loaded: an unknown one, one that can be missing without a fallback, an email without an
unsubscribe link or postal address, or a line break in a subject is a finding with file and line.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from config.campaign import Campaign, Channel, Message, ProviderTemplate
from config.settings import Sender
from tasks.rules.errors import CampaignError, Problem

FILTERS = frozenset({"default", "d", "upper", "lower", "title", "capitalize", "trim", "round", "int", "truncate"})
ALLOWED_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Const, nodes.Filter,
    nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test,
    nodes.Keyword, nodes.Neg,
)  # fmt: skip
# A text over this length is cut into parts by no provider we know; clients let it through (spec: own validation).
LONGEST_TEXT = 1600
_CONTROL = frozenset({"Cc", "Zl", "Zp"})
_LINK = re.compile(r"""\b(?:href|src|action)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""", re.IGNORECASE)
_LINK_STARTS = ("https://", "mailto:", "#")
_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class Person:
    """What a message may say of its recipient."""

    customer_id: str
    first_name: str | None = None
    last_name: str | None = None
    language: str | None = None
    country: str | None = None


@dataclass(frozen=True)
class Content:
    """A rendered message: email has subject, html and list_unsubscribe; push title, text, link; others text.

    Where the provider keeps the template: also template (its name), template_language, and parameters, a JSON object.
    """

    channel: Channel
    fields: dict[str, str]
    sha256: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        canonical = _CANONICAL.encode([self.channel, self.fields])
        object.__setattr__(self, "sha256", hashlib.sha256(canonical.encode()).hexdigest())


@dataclass(frozen=True)
class Variable:
    """A name a template may use, and whether its value can be missing (then a fallback is needed)."""

    name: str
    optional: bool = False


@dataclass(frozen=True)
class Version:
    """Which words a message of one step, variant and channel is made of."""

    step: int
    variant: str
    channel: Channel
    sha256: str


def segment_variables(returns: Mapping[str, bool]) -> tuple[Variable, ...]:
    """Variables from a segment's columns: name -> nullable."""
    return tuple(Variable(name, nullable) for name, nullable in returns.items())


def unsubscribe_token(key: str, customer_id: str, channel: str, purpose: str) -> str:
    """The published token: base64url without padding of HMAC-SHA256(key, `v1|u|<customer>|<channel>|<purpose>`)."""
    digest = hmac.new(key.encode(), f"v1|u|{customer_id}|{channel}|{purpose}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def unsubscribe_url(public_url: str, key: str, customer_id: str, channel: str, purpose: str) -> str:
    """The address behind every unsubscribe link and List-Unsubscribe header."""
    token = unsubscribe_token(key, customer_id, channel, purpose)
    return f"{public_url.rstrip('/')}/unsubscribe/{quote(customer_id, safe='')}/{channel}/{purpose}/{token}"


class Templates:
    """The messages of one campaign, compiled once and rendered for many."""

    def __init__(self, campaign: Campaign, sender: Sender, compiled: dict[tuple[int, str, Channel], _Compiled]) -> None:
        voucher = campaign.voucher
        self._compiled = compiled
        self._same_for_all = {"campaign": {"name": campaign.name}, "sender": sender.model_dump()}
        self._voucher = (
            _clean({"code": voucher.code, "percent": voucher.percent, "valid_days": voucher.valid_days})
            if voucher
            else {}
        )

    @classmethod
    def load(cls, campaign: Campaign, folder: Path, variables: tuple[Variable, ...], sender: Sender) -> Templates:
        """Read and lint every message of a campaign.

        `variables` are the segment's extra columns. Raises CampaignError with all findings, each with file and line.
        """
        known = _known_variables(campaign, variables)
        places = {id(message): path for path, _, message in campaign.all_messages()}
        problems: list[Problem] = []
        compiled = {}
        for variant in [arm.name for arm in campaign.variants] or [CONTROL]:
            for number in range(1, len(campaign.steps) + 1):
                for channel, message in campaign.messages_for(number, variant).items():
                    try:
                        made = _Compiled.read(folder, channel, message, places[id(message)])
                    except CampaignError as error:
                        problems += error.problems
                        continue
                    # Compiled only once it is known to show and choose: a constant such as "a" * 1000000000 is worked
                    # out by the compiler.
                    problems += list(made.problems(known, campaign)) or made.compile()
                    compiled[(number, variant, channel)] = made
        if problems:
            raise CampaignError(*dict.fromkeys(problems))
        return cls(campaign, sender, compiled)

    def versions(self) -> list[Version]:
        """What each step, variant and channel is made of, for the ledger's template_version."""
        return [
            Version(step, variant, channel, made.version) for (step, variant, channel), made in self._compiled.items()
        ]

    def render(
        self,
        step: int,
        variant: str,
        channel: Channel,
        person: Person,
        evidence: Mapping[str, Any],
        *,
        voucher_code: str | None = None,
        unsubscribe: str | None = None,
    ) -> Content:
        """One message for one person; the same arguments give the same bytes. Values never become template code."""
        values: dict[str, Any] = {
            **_clean(evidence),
            "customer": _clean(
                {
                    "first_name": person.first_name,
                    "last_name": person.last_name,
                    "language": person.language,
                    "country": person.country,
                }
            ),
            **self._same_for_all,
        }
        if self._voucher:
            values["voucher"] = {**self._voucher, **_clean({"code": voucher_code})}
        if unsubscribe:
            values["unsubscribe_url"] = unsubscribe
        return self._compiled[(step, variant, channel)].render(values, unsubscribe)


CONTROL = "control"


@dataclass(frozen=True)
class _Compiled:
    """The templates of one message: its body file and the inline lines."""

    channel: Channel
    inline: Mapping[str, str]
    link: str | None
    sources: tuple[tuple[str, str], ...]  # (where, template source), the body first
    version: str
    at_provider: ProviderTemplate | None = None

    @cached_property
    def body(self) -> Template:
        """The body file."""
        return (_HTML if self.channel == "email" else _TEXT).from_string(self.sources[0][1])

    @cached_property
    def lines(self) -> dict[str, Template]:
        """Subject and title."""
        return {name: _TEXT.from_string(text) for name, text in self.inline.items()}

    @cached_property
    def parameters(self) -> dict[str, Template]:
        """Variables of the template kept at the provider."""
        kept = self.at_provider.parameters if self.at_provider else {}
        return {name: _TEXT.from_string(text) for name, text in kept.items()}

    @classmethod
    def read(cls, folder: Path, channel: Channel, message: Message, place: str) -> _Compiled:
        """The message at a path of the campaign's file. Raises CampaignError with every template that is none."""
        try:
            body = (folder / message.file).read_text("utf-8")
        except FileNotFoundError:
            where = f"{folder / 'campaign.yaml'}: {place}.file"
            raise CampaignError(Problem(where, f"{message.file} is not in {folder.name}/")) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CampaignError(Problem(f"{folder.name}/{message.file}", f"cannot be read: {error}")) from None
        inline = {name: text for name, text in (("subject", message.subject), ("title", message.title)) if text}
        kept = message.template
        parameters = kept.parameters.items() if kept else ()
        lines = {**inline, **{f"template.parameters.{name}": text for name, text in parameters}}
        sources = (
            (f"{folder.name}/{message.file}", body),
            *((f"{folder.name}/campaign.yaml: {place}.{name}", text) for name, text in lines.items()),
        )
        made_of = [body, inline, message.link]
        if kept:
            made_of.append(kept.model_dump())
        version = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
        unreadable = [problem for where, text in sources for problem in _syntax_problems(where, text)]
        if unreadable:
            raise CampaignError(*unreadable)
        return cls(
            channel=channel,
            inline=inline,
            link=message.link,
            sources=sources,
            version=version,
            at_provider=kept,
        )

    def compile(self) -> list[Problem]:
        """Make the templates ready; what only the compiler finds, such as an unknown test, is a finding too."""
        try:
            _ = self.body, self.lines, self.parameters
        except TemplateSyntaxError as error:
            return [Problem(self.sources[0][0], str(error.message))]
        return []

    def render(self, values: dict[str, Any], unsubscribe: str | None) -> Content:
        fields = {name: one_line(template.render(values)) for name, template in self.lines.items()}
        fields["html" if self.channel == "email" else "text"] = self.body.render(values).strip()
        if self.link:
            fields["link"] = self.link
        if self.channel == "email" and unsubscribe:
            fields["list_unsubscribe"] = unsubscribe
        if self.at_provider:
            fields["template"] = self.at_provider.name
            fields["template_language"] = self.at_provider.language
            filled = {name: one_line(template.render(values)) for name, template in self.parameters.items()}
            fields["parameters"] = json.dumps(filled, ensure_ascii=False)
        return Content(self.channel, fields)

    def problems(self, known: dict[str, Variable], campaign: Campaign) -> Iterator[Problem]:
        mentioned: set[str] = set()
        for where, source in self.sources:
            tree = _TEXT.parse(source)
            yield from _lint(tree, where, known, mentioned)
        where, body = self.sources[0]
        for line_where, source in self.sources[1:]:
            if "\n" in source or "\r" in source:
                yield Problem(line_where, "must be a single line: a line break would start a new header")
        if self.channel == "email":
            yield from _email_problems(where, body, mentioned, campaign)
        elif len(body) > LONGEST_TEXT:
            yield Problem(where, f"is longer than {LONGEST_TEXT} characters")
        if campaign.voucher and "voucher.code" not in mentioned:
            yield Problem(
                where, "does not show {{ voucher.code }}, and the campaign promises a voucher in every message"
            )


class _Missing(StrictUndefined):
    """A value that is not there: false in a test, an error when shown."""

    def __bool__(self) -> bool:  # ty: ignore[incompatible-method-override] - being false is the point
        return False


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which `voucher.code` is a key first: what a message shows are mappings, never objects."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def _environment(*, autoescape: bool) -> ImmutableSandboxedEnvironment:
    environment = _Environment(autoescape=autoescape, undefined=_Missing, keep_trailing_newline=True)
    environment.filters = {name: function for name, function in environment.filters.items() if name in FILTERS}
    environment.globals.clear()
    return environment


_HTML = _environment(autoescape=True)
_TEXT = _environment(autoescape=False)


def _syntax_problems(where: str, text: str) -> Iterator[Problem]:
    try:
        _TEXT.parse(text)
    except TemplateSyntaxError as error:
        yield Problem(f"{where}:{error.lineno}", str(error.message))


def _known_variables(campaign: Campaign, variables: tuple[Variable, ...]) -> dict[str, Variable]:
    known = [Variable(f"customer.{name}", optional=True) for name in ("first_name", "last_name", "language", "country")]
    known += [Variable(f"sender.{name}") for name in Sender.model_fields]
    known += [Variable("campaign.name"), Variable("unsubscribe_url"), *variables]
    if campaign.voucher:
        voucher = campaign.voucher
        known += [
            Variable("voucher.code"),
            Variable("voucher.percent", optional=voucher.percent is None),
            Variable("voucher.valid_days", optional=voucher.valid_days is None),
        ]
    return {variable.name: variable for variable in known}


def _lint(tree: nodes.Template, where: str, known: dict[str, Variable], mentioned: set[str]) -> Iterator[Problem]:
    """Findings of one template; fills `mentioned` with the variables it shows."""

    def walk(node: nodes.Node, safe: frozenset[str]) -> Iterator[Problem]:
        at = f"{where}:{node.lineno}"
        if not isinstance(node, ALLOWED_NODES):
            yield Problem(
                at, f"{type(node).__name__.lower()} is not allowed in a message; show values and use `if` only"
            )
            return
        if isinstance(node, nodes.Filter):
            if node.name not in FILTERS:
                yield Problem(at, f"unknown filter {node.name}; there are: {', '.join(sorted(FILTERS))}")
            if node.name in ("default", "d") and node.node is not None:
                safe = safe | {_path(node.node)}
        if isinstance(node, nodes.If | nodes.CondExpr):
            yield from _lint_choice(node, safe)
            return
        if isinstance(node, nodes.Name | nodes.Getattr):
            path = _path(node)
            mentioned.add(path)
            if path not in known:
                yield Problem(at, f"unknown variable {path}; there are: {', '.join(sorted(known))}")
            elif known[path].optional and path not in safe:
                yield Problem(at, f'{path} can be missing; give a fallback: {{{{ {path} | default("...") }}}}')
            return
        for child in node.iter_child_nodes():
            yield from walk(child, safe)

    def _lint_choice(node: nodes.If | nodes.CondExpr, safe: frozenset[str]) -> Iterator[Problem]:
        """What a test asks for is there in the branch it opens, unless the test is a negation."""
        asked = {_path(inner) for inner in (node.test, *node.test.find_all((nodes.Name, nodes.Getattr)))}
        negated = isinstance(node.test, nodes.Not) or node.test.find(nodes.Not) is not None
        yield from walk(node.test, safe | asked)
        if isinstance(node, nodes.CondExpr):
            yield from walk(node.expr1, safe if negated else safe | asked)
            if node.expr2 is not None:
                yield from walk(node.expr2, safe | asked if negated else safe)
            return
        for child in node.body:
            yield from walk(child, safe if negated else safe | asked)
        for child in (*node.elif_, *node.else_):
            yield from walk(child, safe | asked if negated else safe)

    yield from walk(tree, frozenset())


def _path(node: nodes.Node) -> str:
    if isinstance(node, nodes.Getattr):
        return f"{_path(node.node)}.{node.attr}"
    return node.name if isinstance(node, nodes.Name) else type(node).__name__.lower()


def _email_problems(where: str, body: str, mentioned: set[str], campaign: Campaign) -> Iterator[Problem]:
    if campaign.purpose != "transactional":
        if "unsubscribe_url" not in mentioned:
            yield Problem(where, "has no unsubscribe link: show {{ unsubscribe_url }} (C6, C9)")
        if "sender.postal_address" not in mentioned:
            yield Problem(where, "has no postal address: show {{ sender.postal_address }} (C6)")
    for found in _LINK.finditer(body):
        target = next(group for group in found.groups() if group is not None).strip()
        is_ours = re.fullmatch(r"\{\{\s*unsubscribe_url\s*\}\}", target)
        if not is_ours and not target.lower().startswith(_LINK_STARTS):
            line = body.count("\n", 0, found.start()) + 1
            yield Problem(f"{where}:{line}", "a link must begin with https:// or mailto:, or be {{ unsubscribe_url }}")


def one_line(text: str) -> str:
    """A text without control characters, fit for a header: a line break before `Bcc:` becomes a space (H13)."""
    if text.isprintable() and "  " not in text and text == text.strip():  # as nearly all are
        return text
    return " ".join("".join(" " if unicodedata.category(char) in _CONTROL else char for char in text).split())


def _clean(values: Mapping[str, Any]) -> dict[str, Any]:
    """Only what is there, so that a template's `default` stands in for the rest (H12), each text on one line (H13)."""
    lines = {name: one_line(value) if isinstance(value, str) else value for name, value in values.items()}
    return {name: value for name, value in lines.items() if value is not None and value != ""}
