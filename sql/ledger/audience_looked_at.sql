/*
Whoever may have come into or out of a campaign's audiences since the sync before, under the id they have today, with
every id they ever had: of whom something changed, whose episode was opened, closed or ends by itself, or whose consent
ends or begins to count; and whoever has an address that one of those has.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  max_days: int - longest stay in an audience
  customer_ids: text[] - of whom something changed since the sync before, under any id
  since_run: bigint - the run of the sync before; what it enrolled was looked at
  since: timestamptz - decision clock of the sync before
*/
create temporary table people on commit drop as
with asked as (
    select given.id
    from unnest(cast(:customer_ids as text[])) as given (id)
    union
    select customer_id
    from campaign.enrolments
    where
        campaign = cast(:campaign as text)
        and closed_at is null
        and coalesce(reopened_by, run_id) > cast(:since_run as bigint)
    union
    select customer_id
    from campaign.enrolments
    where campaign = cast(:campaign as text) and closed_at >= cast(:since as timestamptz)
    union
    select customer_id
    from campaign.enrolments
    where
        campaign = cast(:campaign as text)
        and closed_at is null
        and stops_at <= cast(:as_of as timestamptz)
    union
    select customer_id
    from campaign.enrolments
    where
        campaign = cast(:campaign as text)
        and closed_at is null
        -- days with a clock change are longer or shorter
        and enrolled_at > cast(:since as timestamptz) - make_interval(days => cast(:max_days as int) + 1)
        and enrolled_at <= cast(:as_of as timestamptz) - make_interval(days => cast(:max_days as int) - 1)
    union
    select customer_id
    from core.consents
    where
        channel in ('google', 'meta', 'tiktok')
        and expires_at > cast(:since as timestamptz)
        and expires_at <= cast(:as_of as timestamptz)
    union
    select customer_id
    from core.consents
    where
        channel in ('google', 'meta', 'tiktok')
        and least(occurred_at, known_at) > cast(:since as timestamptz)
        and least(occurred_at, known_at) <= cast(:as_of as timestamptz)
),

met as materialized (
    select distinct on (person.customer_id) person.customer_id as person_id, person.ids
    from asked
    cross join lateral campaign.person(asked.id) as person
    order by person.customer_id
),

sharing as (
    select others.customer_id
    from met
    inner join core.customers as mine on mine.customer_id = any(met.ids)
    inner join core.customers as others on others.email_canonical = mine.email_canonical
    where others.customer_id <> mine.customer_id
    union
    select others.customer_id
    from met
    inner join core.customers as mine on mine.customer_id = any(met.ids)
    inner join core.customers as others on others.phone_e164 = mine.phone_e164
    where others.customer_id <> mine.customer_id
)

select person_id, ids
from met
union
select person.customer_id, person.ids
from sharing
cross join lateral campaign.person(sharing.customer_id) as person
