/*
Decide each locked row on what is true now: it leaves, it ends with a reason, or it waits with a later not_before.

Every check of invariant I7 is asked here, in the statement that claims: campaign state and period, data gate, stop
event and goal, expiry, spacing, consent, suppression, address, quiet hours, caps. A campaign's definition is in
files and comes as parameters.

owner: engineering
grain: one row per decided send
params:
  send_keys: text[] - rows locked by this transaction
  moments: timestamptz[] - decision clock of each row; null: the database's clock
  campaigns: jsonb - one object per campaign, from its folder
  ways: jsonb - one object per campaign, step, variant and channel, in the campaign's order
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
  token: uuid - fencing token of this claim
  lease: interval - how long this worker may take
returns:
  send_key: text unique - the row
  state: text - its state now; in_flight rows are ours to hand over
  reason: text nullable - why it ended or waits
  campaign: text - the campaign
  enrolment_id: bigint - the enrolment
  step: text - the step or sub-step
  variant: text - the message variant
  channel: text - how the person is reached
  provider: text - who delivers
  attempt_no: int - number of this attempt
  voucher_code: text nullable - the code put in front of the person
  decided_at: timestamptz - decision clock of the row
  person_id: text - the customer today
  first_name: text nullable - for the message
  last_name: text nullable - for the message
  language: text nullable - for the message
  country: text nullable - for the message
  evidence: jsonb - the segment's columns, for the message
  address: text nullable - where it goes
  address_hmac: text nullable - keyed hash of where it goes
  busy_tries: int - attempts already spent on a busy provider
*/
with

clock as materialized (
    select clock_timestamp() as at
),

defined as materialized (
    select definition.*
    from jsonb_to_recordset(cast(:campaigns as jsonb)) as definition (
        campaign text, purpose text, zone text, starts_on date, ends_on date,
        quiet_start time, quiet_end time, on_quiet text, unknown_zone text, caps jsonb,
        stop_event text, stop_where jsonb, goal_event text, goal_where jsonb, voucher_code text, has_test boolean
    )
),

ways as materialized (
    select way.*
    from jsonb_to_recordset(cast(:ways as jsonb)) as way (
        campaign text, step int, variant text, channel text, provider text, bases text[], place int
    )
),

candidates as materialized (
    select
        sends.send_key, sends.campaign, sends.enrolment_id, sends.customer_id, sends.step, sends.variant,
        sends.channel, sends.due_at, sends.expires_at, sends.not_before, sends.attempt_no,
        cast(split_part(sends.step, '.', 1) as int) as step_no,
        strpos(sends.step, '.') > 0 as is_sub_step,
        coalesce(given.moment, clock.at) as at,
        enrolments.anchor_at, enrolments.enrolled_at, enrolments.closed_at, enrolments.close_reason,
        enrolments.evidence,
        person.customer_id as person_id, person.ids,
        coalesce(known.state, 'active') as campaign_state,
        defined.purpose, defined.zone, defined.starts_on, defined.ends_on,
        defined.quiet_start, defined.quiet_end, defined.on_quiet, defined.unknown_zone, defined.caps,
        defined.has_test, defined.stop_event, defined.stop_where, defined.goal_event, defined.goal_where,
        coalesce(sends.voucher_code, defined.voucher_code) as voucher_code
    from unnest(cast(:send_keys as text[]), cast(:moments as timestamptz[])) as given (send_key, moment)
    cross join clock
    inner join campaign.sends on sends.send_key = given.send_key
    inner join defined on defined.campaign = sends.campaign
    inner join campaign.enrolments on enrolments.enrolment_id = sends.enrolment_id
    left join campaign.campaigns as known on known.campaign = sends.campaign
    cross join lateral campaign.person(sends.customer_id) as person
    where
        sends.state in ('planned', 'retry_wait')
        and coalesce(known.state, 'active') <> 'paused'
        and not exists (select from campaign.campaigns where campaign = '*' and state = 'paused')
        and not exists (select from campaign.holds where holds.campaign = sends.campaign)
),

-- Where each person can be reached now, asked with the same function as planning asks.
reached as materialized (
    select
        candidates.send_key, reach.channel, reach.bases, reach.address, reach.address_hmac, reach.is_suppressed
    from candidates
    cross join lateral campaign.reach(
        candidates.person_id, candidates.ids, candidates.at, candidates.purpose,
        cast(:inner_pad as bytea), cast(:outer_pad as bytea)
    ) as reach
),

-- The channels of this step; one that refused this message is out.
reachable as materialized (
    select
        candidates.send_key, ways.channel, ways.provider, ways.place, reached.address, reached.address_hmac,
        ways.channel = candidates.channel as is_planned,
        reached.bases && ways.bases as has_consent,
        reached.is_suppressed,
        refused.reason as refusal
    from candidates
    inner join reached on reached.send_key = candidates.send_key
    inner join ways
        on ways.campaign = candidates.campaign
        and ways.step = candidates.step_no
        and ways.variant = case when candidates.has_test then candidates.variant else 'control' end
        and ways.channel = reached.channel
        and (ways.channel = candidates.channel or not candidates.is_sub_step)
    left join lateral (
        select coalesce(attempts.reason, 'refused') as reason
        from campaign.attempts
        where
            candidates.attempt_no > 0
            and attempts.send_key = candidates.send_key
            and attempts.channel = ways.channel
            and attempts.outcome = 'refused'
        limit 1
    ) as refused on true
),

chosen as materialized (
    select distinct on (send_key) send_key, channel, provider, address, address_hmac
    from reachable
    where has_consent and address is not null and not is_suppressed and refusal is null
    order by send_key, is_planned desc, place
),

unreached as materialized (
    select
        send_key,
        max(refusal) as refusal,
        case
            when not bool_or(has_consent) then 'no_consent'
            when not bool_or(has_consent and address is not null) then 'no_address'
            else 'suppressed_address'
        end as reason
    from reachable
    group by send_key
),

-- Every zone the person may be in. None known, or one this server does not know: the campaign's assumption, which
-- counts for channels without a legal hour only (A3); else nothing, and the row ends.
zoned as materialized (
    select
        candidates.send_key, candidates.at, candidates.quiet_start, candidates.quiet_end,
        case
            when
                coalesce(cardinality(customers.time_zones), 0) > 0
                and customers.time_zones <@ (select array_agg(zones.name) from campaign.zones)
                then customers.time_zones
            when
                candidates.unknown_zone is not null
                and chosen.channel in ('email', 'push', 'webpush', 'inbox')
                then array[candidates.unknown_zone]
        end as zones,
        customers.first_name, customers.last_name, customers.language, customers.country
    from candidates
    inner join chosen on chosen.send_key = candidates.send_key
    left join core.customers on customers.customer_id = candidates.person_id
),

nights as materialized (
    select
        night.at, night.zones, night.quiet_start, night.quiet_end,
        campaign.next_open(night.at, night.zones, night.quiet_start, night.quiet_end) as opens_at
    from (
        select distinct at, zones, quiet_start, quiet_end
        from zoned
        where
            quiet_start is not null
            and zones is not null
            and campaign.is_quiet(at, zones, quiet_start, quiet_end)
    ) as night
),

-- The moment a cap leaves room again: its n-th newest message leaves the rolling period. What is in doubt counts.
-- (States are excluded rather than listed: PostgreSQL 18 would otherwise walk the index on states.)
capped as materialized (
    select candidates.send_key, max(counted.at + make_interval(secs => cap.seconds)) as free_at
    from candidates
    inner join chosen on chosen.send_key = candidates.send_key
    cross join lateral jsonb_to_recordset(candidates.caps) as cap (messages int, seconds double precision, channel text)
    cross join lateral (
        select coalesce(others.accepted_at, others.claimed_at) as at
        from campaign.sends as others
        where
            others.customer_id = any(candidates.ids)
            and others.state not in ('planned', 'retry_wait', 'rejected', 'suppressed', 'cancelled', 'expired')
            and (cap.channel is null or others.channel = cap.channel)
            and coalesce(others.accepted_at, others.claimed_at)
            > candidates.at - make_interval(secs => cap.seconds)
        order by coalesce(others.accepted_at, others.claimed_at) desc
        offset cap.messages - 1
        limit 1
    ) as counted
    where cap.channel is null or cap.channel = chosen.channel
    group by candidates.send_key
),

-- The gap between steps never shrinks below the difference of their offsets, also after an outage (A2b).
spaced as materialized (
    select
        candidates.send_key,
        max(coalesce(earlier.accepted_at, earlier.claimed_at) + (candidates.due_at - earlier.due_at)) as free_at
    from candidates
    inner join campaign.sends as earlier
        on earlier.enrolment_id = candidates.enrolment_id
        and earlier.state not in ('planned', 'retry_wait', 'rejected', 'suppressed', 'cancelled', 'expired')
        and cast(split_part(earlier.step, '.', 1) as int) < candidates.step_no
    group by candidates.send_key
),

verdicts as materialized (
    select
        candidates.*, chosen.channel as chosen_channel, chosen.provider, chosen.address, chosen.address_hmac,
        zoned.first_name, zoned.last_name, zoned.language, zoned.country,
        unreached.refusal, nights.opens_at, capped.free_at as cap_free_at, spaced.free_at as step_free_at,
        case
            when candidates.closed_at <= candidates.at then 'closed'
            when
                candidates.campaign_state = 'ended'
                or cast(candidates.at at time zone candidates.zone as date) > candidates.ends_on
                then 'campaign_ended'
            when
                cardinality(candidates.ids) > 1
                and exists (
                    select from campaign.enrolments as first
                    where
                        first.campaign = candidates.campaign
                        and first.customer_id = any(candidates.ids)
                        and first.customer_id <> candidates.customer_id
                        and (first.enrolled_at, first.enrolment_id) < (candidates.enrolled_at, candidates.enrolment_id)
                        and (first.closed_at is null or first.closed_at > candidates.enrolled_at)
                )
                then 'merged'
            when
                exists (
                    select from campaign.stop_events(
                        candidates.ids, candidates.stop_event, candidates.stop_where,
                        candidates.anchor_at, candidates.at
                    )
                )
                or exists (
                    select from campaign.stop_events(
                        candidates.ids, candidates.goal_event, candidates.goal_where,
                        candidates.anchor_at, candidates.at
                    )
                )
                then 'stop_event'
            when candidates.expires_at <= candidates.at then 'expired'
            when cast(candidates.at at time zone candidates.zone as date) < candidates.starts_on then 'not_started'
            when spaced.free_at > candidates.at then 'spacing'
            when chosen.send_key is null and unreached.refusal is not null then 'refused'
            when chosen.send_key is null then coalesce(unreached.reason, 'no_channel')
            when candidates.quiet_start is not null and zoned.zones is null then 'zone_unknown'
            when nights.at is not null and (candidates.on_quiet = 'drop' or nights.opens_at is null)
                then 'quiet_dropped'
            when nights.at is not null then 'quiet'
            when capped.free_at is not null then 'capped'
            else 'clear'
        end as verdict
    from candidates
    left join chosen on chosen.send_key = candidates.send_key
    left join unreached on unreached.send_key = candidates.send_key
    left join zoned on zoned.send_key = candidates.send_key
    left join nights
        on nights.at = zoned.at
        and nights.zones = zoned.zones
        and nights.quiet_start = zoned.quiet_start
        and nights.quiet_end = zoned.quiet_end
    left join capped on capped.send_key = candidates.send_key
    left join spaced on spaced.send_key = candidates.send_key
),

decided as (
    update campaign.sends
    set
        state = case
            when verdicts.verdict = 'clear' then 'in_flight'
            when verdicts.verdict in ('closed', 'campaign_ended', 'merged', 'stop_event') then 'cancelled'
            when verdicts.verdict = 'expired' then 'expired'
            when verdicts.verdict = 'refused' then 'rejected'
            when verdicts.verdict in ('not_started', 'spacing', 'quiet', 'capped') then sends.state
            else 'suppressed'
        end,
        reason = case verdicts.verdict
            when 'clear' then null
            when 'closed' then verdicts.close_reason
            when 'expired' then null
            when 'refused' then verdicts.refusal
            when 'quiet_dropped' then 'quiet'
            when 'not_started' then 'campaign_paused'
            else verdicts.verdict
        end,
        not_before = case verdicts.verdict
            when 'not_started' then cast(verdicts.starts_on as timestamp) at time zone verdicts.zone
            when 'spacing' then verdicts.step_free_at
            when 'quiet' then verdicts.opens_at
            when 'capped' then verdicts.cap_free_at
            else sends.not_before
        end,
        settled_at = case
            when verdicts.verdict not in ('clear', 'not_started', 'spacing', 'quiet', 'capped') then verdicts.at
        end,
        channel = coalesce(verdicts.chosen_channel, sends.channel),
        provider = coalesce(verdicts.provider, sends.provider),
        voucher_code = verdicts.voucher_code,
        attempt_no = sends.attempt_no + case when verdicts.verdict = 'clear' then 1 else 0 end,
        claim_token = case when verdicts.verdict = 'clear' then cast(:token as uuid) end,
        lease_until = case when verdicts.verdict = 'clear' then clock_timestamp() + cast(:lease as interval) end,
        claimed_at = case when verdicts.verdict = 'clear' then verdicts.at else sends.claimed_at end
    from verdicts
    where sends.send_key = verdicts.send_key
    returning
        sends.send_key, sends.state, sends.reason, sends.campaign, sends.enrolment_id, sends.step, sends.variant,
        sends.channel, sends.provider, sends.attempt_no, sends.voucher_code, verdicts.at as decided_at,
        verdicts.person_id, verdicts.first_name, verdicts.last_name, verdicts.language, verdicts.country,
        verdicts.evidence, verdicts.address, verdicts.address_hmac
)

select
    send_key, state, reason, campaign, enrolment_id, step, variant, channel, provider, attempt_no, voucher_code,
    decided_at, person_id, first_name, last_name, language, country, evidence, address, address_hmac,
    case
        when attempt_no > 1 then (
            select cast(count(*) as int)
            from campaign.attempts
            where attempts.send_key = decided.send_key and attempts.outcome = 'busy' and attempts.retry_after is null
        )
        else 0
    end as busy_tries
from decided
