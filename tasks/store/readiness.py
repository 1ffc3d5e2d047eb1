"""What each campaign needs, and whether it is there: data, ways to reach people, credentials, keys (B10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from config.campaign import QUALIFIED, Campaign, Goal
from config.platforms import AdPlatform, Google
from config.providers import Provider
from config.settings import Sender, Settings
from config.sources import WhatsappSource, load_sources
from tasks.store import planning, prices, segments, sensitive
from tasks.store.sensitive import InForce
from tasks.store.workspace import Workspace

Answer = Literal["yes", "no", "warning"]

# Views that no source fills directly, and the entity they are made of.
MADE_OF = {
    "purchase_days": "purchases", "milestones": "conversations", "leads": "messages", "silences": "messages",
    "free_windows": "messages",
}  # fmt: skip


@dataclass(frozen=True)
class Need:
    """One thing a campaign needs; `detail` says what was found, or what to do."""

    campaign: str
    need: str
    there: Answer
    detail: str


def needs(work: Workspace, as_of: datetime) -> list[Need]:
    """The needs of every campaign and of the installation; counts only, never a person."""
    path = work.settings.folder("sources")
    sources = load_sources(path).values() if path.exists() else ()
    fed = {source.entity for source in sources}
    if any(isinstance(source, WhatsappSource) for source in sources):
        fed |= {"conversations"}
    with work.database.transaction() as connection:
        rows = connection.execute(work.queries["core/data_at_hand"](as_of=as_of)).mappings().all()
        marked = list(sensitive.in_force(work, connection))
        prices.refresh(work, connection)
        paying = [campaign for campaign in work.campaigns.values() if planning.pays(campaign)]
        charged = sorted({category for campaign in paying for category in planning.price_categories(campaign)})
        asked = work.queries["core/prices_at_hand"](as_of=as_of, categories=charged)
        priced = connection.execute(asked).all() if charged else []
        ads = {row.ad_id: row for row in connection.execute(work.queries["core/ads_at_hand"](as_of=as_of))}
    found = {(row["kind"], row["name"]): row for row in rows}
    people = {key: row["people"] or 0 for key, row in found.items()}
    answers = []
    for campaign in work.campaigns.values():
        for entity in entities(work, campaign):
            has_rows = ("entity", entity) in found and found["entity", entity]["found"]
            answers.append(_entity(campaign.name, entity, has_rows=has_rows, has_source=entity in fed))
        for name, kind in [(use.name, "channel") for use in campaign.channels] + [
            (use.name, "platform") for use in campaign.platforms
        ]:
            answers.append(
                _reach(campaign.name, kind, name, people.get(("address", name), 0), people.get(("consent", name), 0))
            )
            answers.append(_credentials(campaign.name, kind, name, work.settings))
        if planning.pays(campaign) and (categories := planning.price_categories(campaign)):
            answers.append(_prices(campaign.name, [row for row in priced if row.category in categories]))
        if campaign.retargeting is None and (own := campaign.steps_in_own_words()):
            answers.append(_templates(campaign, own))
        answers += [_ad(campaign.name, name, ads.get(name)) for name in campaign.ads]
    return [*answers, *map(_sensitive, marked), *_paces(work.settings), *_clients(work.settings), *_keys(work.settings)]


def entities(work: Workspace, campaign: Campaign) -> list[str]:
    """Entities of the input contract that a campaign's segment, stop event and goal read."""
    relations = {
        relation.removeprefix("facts.") for relation in segments.relations(work.queries[f"segments/{campaign.segment}"])
    }
    read = {MADE_OF.get(relation, relation) for relation in relations}
    read |= {_entity_of(goal) for goal in (campaign.goal, campaign.stop_event)}
    return sorted(read)


def _entity_of(goal: Goal) -> str:
    return {"purchase": "purchases", QUALIFIED: "conversations"}.get(goal.event, "events")


def _ad(campaign: str, name: str, known: Any) -> Need:
    """Retargeting needs an ad with a bot (R2); one that no load has told of may be mistyped."""
    need = f"ad: {name}"
    if known is None:
        return Need(campaign, need, "warning", "not loaded yet, or mistyped: waits until a bot is known")
    if not known.has_bot:
        return Need(campaign, need, "no", "has no bot: link one to the ad, or take it out of `ads`")
    return Need(campaign, need, "yes", f"{known.status}, with a bot")


def _prices(campaign: str, rows: Sequence[Any]) -> Need:
    """Messages without a price are counted apart and never as free, so whoever pays for them should know."""
    need = "prices: whatsapp"
    if lacking := [row for row in rows if not row.has_price]:
        named = ", ".join(
            f"{row.category} to {row.country or 'numbers of no country'} ({row.people:,} people)" for row in lacking[:5]
        )
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        detail = f"none for {named}{more}: name your own table in reengage.yaml (`whatsapp_prices`)"
        return Need(campaign, need, "warning", detail)
    countries = len({row.country for row in rows})
    if any(row.is_example for row in rows):
        return Need(campaign, need, "yes", "made up, good enough for a simulated database")
    return Need(campaign, need, "yes", f"known for the numbers of {countries:,} countries")


def _templates(campaign: Campaign, steps: Sequence[int]) -> Need:
    """Words of our own are right for people who have just written, and reach nobody else (C15)."""
    named = "step " + ", ".join(map(str, steps))
    detail = f"none in {named}: WhatsApp then takes it for people only who wrote there within the last 24 hours"
    return Need(campaign.name, "templates: whatsapp", "warning", detail)


def _entity(campaign: str, entity: str, *, has_rows: bool, has_source: bool) -> Need:
    if has_rows:
        return Need(campaign, f"data: {entity}", "yes", "there")
    if has_source:
        return Need(campaign, f"data: {entity}", "no", "mapped, not loaded yet: reengage ingest")
    return Need(campaign, f"data: {entity}", "no", f"map a source for {entity} in sources.yaml, then reengage ingest")


def _reach(campaign: str, kind: str, name: str, addresses: int, consents: int) -> Need:
    detail = f"{addresses:,} people with an address, {consents:,} with a consent"
    need = f"{kind}: {name}"
    if addresses and consents:
        return Need(campaign, need, "yes", detail)
    return Need(campaign, need, "no", f"{detail}: nobody can be reached here; load customers and consents")


def _credentials(campaign: str, kind: str, name: str, settings: Settings) -> Need:
    need = f"credentials: {name}"
    if settings.wanted_mode == "simulated":
        return Need(campaign, need, "yes", "simulated: the outbox takes everything, nothing leaves")
    if kind == "platform" and (told := settings.pipeline.ad_platform(name)):
        return _ad_platform(campaign, need, told, settings)
    if kind == "platform":
        detail = f"{name} is not among the ad_platforms of reengage.yaml: its audiences stay in the outbox"
        return Need(campaign, need, "warning", detail)
    options = settings.pipeline.provider(name)
    if options is None:
        detail = f"no provider of this {kind} is connected: the outbox keeps everything, nothing leaves"
        return Need(campaign, need, "warning", detail)
    if missing := list(_missing(options, settings)):
        return Need(campaign, need, "no", f"{options.provider} would deliver, but needs {', '.join(missing)}")
    if options.only_checks:
        return Need(
            campaign, need, "warning", f"{options.provider} checks messages and delivers none, as its options say"
        )
    if options.is_amazon and not _has_amazon_keys():
        detail = f"{options.provider} delivers if this machine has a role: boto3 finds no keys in environment or files"
        return Need(campaign, need, "warning", detail)
    return Need(campaign, need, "yes", f"{options.provider} delivers")


def _ad_platform(campaign: str, need: str, options: AdPlatform, settings: Settings) -> Need:
    missing = [f"REENGAGE_{name.upper()}" for name in options.secrets if getattr(settings, name) is None]
    credentials = options.credentials if isinstance(options, Google) else None
    if credentials and not (settings.config / credentials).is_file():
        missing.append(f"the file {credentials}")
    if missing:
        return Need(campaign, need, "no", f"audiences would go to {options.owner}, which needs {', '.join(missing)}")
    if isinstance(options, Google) and credentials is None:
        found = "if its library finds credentials on this machine: name a service account's file"
        detail = f"audiences go to {options.owner} {found}"
        return Need(campaign, need, "warning", detail)
    return Need(campaign, need, "yes", f"audiences go to {options.owner}")


def _missing(options: Provider, settings: Settings) -> Iterator[str]:
    """What a provider cannot do without, and what its messages would show of an installation not yet set up."""
    for name in options.secrets:
        if getattr(settings, name) is None:
            yield f"REENGAGE_{name.upper()}"
    if options.channel == "email":
        if settings.pipeline.sender.email == Sender().email:
            yield "sender.email in reengage.yaml (it is the example's)"
        if settings.pipeline.sender.postal_address == Sender().postal_address:
            yield "sender.postal_address in reengage.yaml (it is the example's)"
        if settings.public_url == Settings.model_fields["public_url"].default:
            yield "REENGAGE_PUBLIC_URL (unsubscribe links lead to the example's)"


def _has_amazon_keys() -> bool:
    """Whether boto3 finds keys without asking the network."""
    from botocore.session import Session

    session = Session()
    session.set_config_variable("metadata_service_num_attempts", 0)
    return session.get_credentials() is not None


def _paces(settings: Settings) -> Iterator[Need]:
    """How fast providers are called whose limit depends on what was agreed with them."""
    for options in settings.pipeline.providers:
        if options.pace is None or settings.wanted_mode == "simulated":
            continue
        detail = f"{options.rate:g} a second, as reengage.yaml says" if options.rate else options.pace
        yield Need("(all)", f"rate: {options.provider}", "yes", detail)


def _clients(settings: Settings) -> Iterator[Need]:
    """Whether the receiver can tell its clients apart, where people reach it: mostly through a proxy."""
    if settings.public_url == Settings.model_fields["public_url"].default:
        return
    need = "receiver: REENGAGE_TRUSTED_PROXIES"
    if settings.trusted_proxies:
        yield Need("(all)", need, "yes", ", ".join(map(str, settings.trusted_proxies)))
    else:
        detail = "not set: behind a proxy all clients count as one, and share what one may ask for in a minute"
        yield Need("(all)", need, "warning", detail)


def _sensitive(marked: InForce) -> Need:
    need = f"sensitive: {marked.entry.what}"
    since = f"since {marked.recorded_at:%Y-%m-%d}" if marked.recorded_at else "from their next run on"
    if marked.entry.shown_because is None:
        return Need("(all)", need, "yes", f"segments do not see it {since}")
    return Need("(all)", need, "warning", f"segments see it {since}, because: {marked.entry.shown_because}")


def _keys(settings: Settings) -> Iterator[Need]:
    """Keys that must not stay as shipped once real people are written to."""
    for name in ("salt", "suppression_key", "unsubscribe_keys"):
        value, shipped = getattr(settings, name), type(settings).model_fields[name].default
        variable = f"REENGAGE_{name.upper()}"
        if value != shipped:
            yield Need("(all)", f"key: {variable}", "yes", "set")
        elif settings.wanted_mode == "simulated":
            yield Need("(all)", f"key: {variable}", "yes", "as shipped, good enough for a simulated database")
        else:
            yield Need(
                "(all)", f"key: {variable}", "no", "as shipped: set your own before the first live run, and keep it"
            )
