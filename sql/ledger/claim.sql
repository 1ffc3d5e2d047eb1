/*
Decide each locked row on what is true now: it leaves, it ends with a reason, or it waits with a later not_before.

Every check of invariant I7 is asked here, in the statement that claims: campaign state and period, data gate, stop
event and goal, expiry, spacing, consent, suppression, address, quiet and legal hours, caps. A campaign's definition is
in files and comes as parameters.

owner: engineering
grain: one row per decided send
params:
  send_keys: text[] - rows locked by this transaction
  moments: timestamptz[] - decision clock of each row; null: the database's clock
  persons: text[] - whose lock was taken for each row; it counts only while the row still belongs to them
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
  deliver_by: timestamptz - from this moment on the message must not arrive: too late, or the next quiet hours begin
  person_id: text - the customer today
  first_name: text nullable - for the message
  last_name: text nullable - for the message
  language: text nullable - for the message
  country: text nullable - for the message
  evidence: jsonb - the segment's columns, for the message
  address: text nullable - where it goes
  platform: text nullable - what kind of device a push token is of: apns, fcm or webpush
  address_hmac: text nullable - keyed hash of where it goes
  busy_tries: int - attempts already spent on a busy provider
  provider_caps: int - attempts that met the provider's own limit for this person
  goes_alone: boolean - was in a call that was refused for the sake of another message
  consent_id: text nullable - the consent a row that leaves rests on
  consent_load_id: bigint nullable - the load that brought this version of it
*/
with

clock as materialized (
    select clock_timestamp() as at
),

defined as materialized (
    select definition.*
    from jsonb_to_recordset(cast(:campaigns as jsonb)) as definition (
        campaign text, purpose text, zone text, starts_on date, ends_on date,
        open_minutes int4multirange, on_quiet text, unknown_zone text, caps jsonb,
        stop_event text, stop_where jsonb, goal_event text, goal_where jsonb, voucher_code text, has_test boolean,
        retargeting jsonb, plays text
    )
),

ways as materialized (
    select way.*
    from jsonb_to_recordset(cast(:ways as jsonb)) as way (
        campaign text, step int, variant text, channel text, provider text, bases text[], place int,
        has_template boolean, category text
    )
),

-- Nobody is looked for on a channel that no campaign uses.
used as materialized (
    select distinct channel from ways
),

candidates as materialized (
    select
        sends.send_key, sends.campaign, sends.enrolment_id, sends.customer_id, sends.episode, sends.step, sends.variant,
        sends.arm, sends.channel, sends.due_at, sends.expires_at, sends.resent_at, sends.not_before, sends.attempt_no,
        cast(split_part(sends.step, '.', 1) as int) as step_no,
        strpos(sends.step, '.') > 0 as is_sub_step,
        coalesce(given.moment, clock.at) as at,
        -- Live, handing over takes as long as the lease at most; that long nobody's hours may end.
        coalesce(given.moment, clock.at + cast(:lease as interval)) as until,
        enrolments.anchor_at, coalesce(enrolments.stops_from, enrolments.anchor_at) as stops_from,
        enrolments.enrolled_at, enrolments.closed_at, enrolments.close_reason,
        enrolments.evidence,
        person.customer_id as person_id, person.ids,
        coalesce(known.state, 'active') as campaign_state,
        defined.purpose, defined.zone, defined.starts_on, defined.ends_on,
        defined.open_minutes, defined.on_quiet, defined.unknown_zone, defined.caps,
        defined.has_test, defined.retargeting, defined.plays,
        defined.stop_event, defined.stop_where, defined.goal_event, defined.goal_where,
        coalesce(sends.voucher_code, defined.voucher_code) as voucher_code
    from unnest(cast(:send_keys as text[]), cast(:moments as timestamptz[]), cast(:persons as text[]))
        as given (send_key, moment, person_id)
    cross join clock
    inner join campaign.sends on sends.send_key = given.send_key
    inner join defined on defined.campaign = sends.campaign
    inner join campaign.enrolments on enrolments.enrolment_id = sends.enrolment_id
    left join campaign.campaigns as known on known.campaign = sends.campaign
    cross join lateral campaign.person(sends.customer_id) as person
    where
        sends.state in ('planned', 'retry_wait')
        and person.customer_id = given.person_id
        and coalesce(known.state, 'active') <> 'paused'
        and not exists (select from campaign.campaigns where campaign = '*' and state = 'paused')
        and not exists (select from campaign.holds where holds.campaign = sends.campaign)
),

-- Where each person can be reached now, asked with the same function as planning asks: the best channel of this step,
-- and what stands against the others. One that refused this message is out. One chain of look-ups per row from here
-- on: joined sets would be compared row by row, since nothing is known about how many there are.
reached as materialized (
    select
        candidates.*,
        best.channel as best_channel, best.provider, best.address, best.address_hmac, best.platform,
        coalesce(best.is_viable, false) as is_viable, best.refusal, best.has_any_consent, best.has_any_address,
        coalesce(best.is_undelivered_there, false) as is_undelivered_there,
        best.channel is null as has_no_way, best.accepted_bases, best.needs_template, best.category
    from candidates
    left join lateral (
        with here as materialized (  -- asked once, not once per channel
            select *
            from campaign.reach(
                candidates.person_id, candidates.ids, candidates.at, candidates.purpose,
                cast(:inner_pad as bytea), cast(:outer_pad as bytea)
            )
            where channel = any(array(select used.channel from used))
        )

        select
            asked.*,
            max(asked.refused_for) over () as refusal,
            bool_or(asked.has_consent) over () as has_any_consent,
            bool_or(asked.has_consent and asked.address is not null) over () as has_any_address,
            bool_or(asked.is_undelivered) over () as is_undelivered_there
        from (
            select
                ways.channel, ways.provider, ways.place, reach.address, reach.address_hmac, reach.platform,
                ways.channel = candidates.channel as is_planned,
                ways.bases as accepted_bases,
                ways.category,
                service.needs_template,
                reach.bases && ways.bases as has_consent,
                refused.reason as refused_for,
                reach.bases && ways.bases and reach.address is not null and not reach.is_suppressed
                and refused.reason is null and not delivery.is_stopped as is_viable,
                reach.bases && ways.bases and reach.address is not null and not reach.is_suppressed
                and delivery.is_stopped as is_undelivered
            from here as reach
            inner join ways
                on ways.campaign = candidates.campaign
                and ways.step = candidates.step_no
                and ways.variant = case when candidates.has_test then candidates.variant else 'control' end
                and ways.channel = reach.channel
                and (ways.channel = candidates.channel or not candidates.is_sub_step)
            left join lateral (
                select coalesce(attempts.reason, 'refused') as reason
                from campaign.attempts
                where
                    candidates.attempt_no > 0
                    and attempts.send_key = candidates.send_key
                    and attempts.channel = ways.channel
                    and attempts.outcome = 'refused'
                    and (candidates.resent_at is null or attempts.decided_at > candidates.resent_at)
                limit 1
            ) as refused on true
            -- As campaign.is_undelivered says of one category; the function would be run for each use of its answer.
            cross join lateral (
                select
                    ways.category is not null
                    and exists (
                        select from core.customers
                        inner join campaign.whatsapp_undelivered as undelivered
                            on undelivered.country = customers.phone_country
                        where
                            customers.customer_id = candidates.person_id
                            and undelivered.category = ways.category
                            and undelivered.since <= candidates.at
                    ) as is_stopped
                offset 0
            ) as delivery
            -- Words of our own reach a person on WhatsApp inside their service window only (C15).
            cross join lateral (
                select
                    ways.channel = 'whatsapp'
                    and not ways.has_template
                    and not campaign.is_in_service_window(candidates.ids, candidates.at, candidates.until)
                    as needs_template
            ) as service
        ) as asked
        -- Outside it another channel goes first; a retarget waits for its ad, or ends, on WhatsApp (A2).
        order by
            asked.is_viable desc, candidates.retargeting is null and asked.needs_template, asked.is_planned desc,
            asked.place
        limit 1
    ) as best on true
),

known_zones as materialized (
    select jsonb_object_agg(zones.name, null) as known
    from campaign.zones
),

-- Every zone the person may be in. None known, or one this server does not know: the campaign's assumption, which
-- counts for channels without a legal hour only (A3); else nothing, and the row ends.
zoned as materialized (
    select
        reached.*,
        customers.first_name, customers.last_name, customers.language, customers.country, customers.legal_areas,
        customers.phone_country,
        case when reached.is_viable then reached.best_channel end as chosen_channel,
        case
            when not reached.is_viable then null
            when
                cardinality(customers.time_zones) > 0
                and (select known from known_zones) ?& customers.time_zones
                then customers.time_zones
            when
                reached.unknown_zone is not null
                and reached.best_channel in ('email', 'push', 'webpush', 'inbox')
                then array[reached.unknown_zone]
        end as zones
    from reached
    left join core.customers on customers.customer_id = reached.person_id
),

-- What is open under the campaign's quiet hours and under the law of every place the person may be in. Few people are
-- alike in all of it, so the wall clocks are asked once for each group; who may always be written to is in none.
alike as materialized (
    select
        groups.*,
        case when groups.zones is not null then campaign.is_open(groups.at, groups.zones, groups.open_minutes) end
            as is_open
    from (
        select
            at, until, zones, array_agg(send_key) as send_keys,
            nullif(
                coalesce(
                    open_minutes * campaign.legal_week(legal_areas, chosen_channel, purpose),
                    campaign.legal_week(legal_areas, chosen_channel, purpose),
                    open_minutes
                ),
                '{[0,10080)}'
            ) as open_minutes
        from zoned
        where chosen_channel is not null
        group by at, until, zones, legal_areas, chosen_channel, purpose, zoned.open_minutes
        offset 0  -- or the law would be asked once for each person
    ) as groups
    where groups.open_minutes is not null
),

ending_soon as materialized (
    select
        alike.*,
        case when alike.is_open then campaign.next_quiet(alike.at, alike.zones, alike.open_minutes) end as closes_at
    from alike
),

hours as materialized (
    select
        unnest(ending_soon.send_keys) as send_key,
        ending_soon.is_open and coalesce(ending_soon.closes_at >= ending_soon.until, true) as is_open,
        ending_soon.closes_at,
        case
            when ending_soon.is_open and ending_soon.closes_at < ending_soon.until
                then campaign.next_open(ending_soon.closes_at, ending_soon.zones, ending_soon.open_minutes)
            when not ending_soon.is_open
                then campaign.next_open(ending_soon.at, ending_soon.zones, ending_soon.open_minutes)
        end as opens_at
    from ending_soon
),

-- What a campaign over conversations asks besides: the customer message its steps count from (A4), the free entry
-- window (A2), and the ad with its bot (R2, R8). Facts as of the decision, whatever was known in planning.
talks as materialized (
    select
        zoned.send_key,
        coalesce(anchor.said_at, zoned.anchor_at) + make_interval(secs => wanted.send_after) as due_at,
        greatest(
            greatest(spoken.said_at, heard.said_at) + make_interval(secs => wanted.reply_quiet_seconds),
            case when waiting.is_there then zoned.at + interval '5 minutes' end
        ) as quiet_until,
        wanted.after_free_window,
        case when ad.is_our_number then leads.free_ends_at end as free_until,
        coalesce(ad.is_our_number and leads.free_ends_at > zoned.until, false) as is_free_entry,
        case
            when ad.ad_id is not null and ad.bot_id is null then 'no_bot'
            when ad.status = 'paused' and not wanted.when_ad_paused then 'ad_paused'
        end as ad_holds,
        least(ad.changes_at, again.at) as ad_asked_at,
        newer.is_there as has_newer_lead,
        again.at as asked_again_at
    from zoned
    cross join lateral (
        select
            setting.when_ad_paused, setting.after_free_window, setting.follows_replies, setting.reply_quiet_seconds,
            setting.ads,
            greatest(setting.min_silence, interval '5 minutes') as least_silence,
            cast(zoned.retargeting -> 'offsets' ->> (zoned.step_no - 1) as double precision) as send_after
        from jsonb_to_record(zoned.retargeting) as setting (
            when_ad_paused boolean, after_free_window boolean, follows_replies boolean,
            reply_quiet_seconds double precision, ads text[], min_silence interval
        )
    ) as wanted
    cross join lateral (
        select
            case
                when zoned.until > zoned.at then zoned.at + interval '15 minutes'  -- live: nobody knows what comes
                else date_trunc('hour', zoned.at) + interval '1 hour'
            end as at
    ) as again
    cross join lateral (
        select min(coalesce(earlier.accepted_at, earlier.claimed_at)) as left_at
        from campaign.sends as earlier
        where
            earlier.enrolment_id = zoned.enrolment_id
            and earlier.state not in ('planned', 'retry_wait', 'rejected', 'suppressed', 'cancelled', 'expired')
    ) as first_step
    cross join lateral (
        select max(messages.sent_at) as said_at
        from facts.messages
        where
            messages.conversation_id = zoned.episode
            and messages.is_customer_message
            and messages.sent_at <= zoned.at
    ) as here
    cross join lateral (
        select
            case
                when wanted.follows_replies or first_step.left_at is null then here.said_at
                else (
                    select max(messages.sent_at)
                    from facts.messages
                    where
                        messages.conversation_id = zoned.episode
                        and messages.is_customer_message
                        and messages.sent_at <= zoned.at
                        and messages.sent_at < first_step.left_at
                )
            end as said_at
    ) as anchor
    -- Whoever has several leads is written to about the one they wrote in last. Which that is, choosing says: until it
    -- has looked at one that is newer here, nothing leaves; what it has left open since goes on.
    cross join lateral (
        select exists (
            select from core.leads as later
            cross join lateral (
                select max(messages.sent_at) as said_at
                from facts.messages
                where
                    messages.conversation_id = later.conversation_id
                    and messages.is_customer_message
                    and messages.sent_at <= zoned.at
            ) as there
            left join lateral (
                select runs.as_of, runs.changes_seen_at
                from campaign.runs
                where
                    runs.flow = 'reengage'
                    and runs.campaign = zoned.campaign
                    and runs.state = 'completed'
                    and runs.segment_sha256 is not null
                order by runs.run_id desc
                limit 1
            ) as choosing on true
            where
                later.customer_id = any(zoned.ids)
                and later.said_at > here.said_at
                and later.conversation_id <> zoned.episode
                and later.opened_at <= zoned.at
                and coalesce(later.qualified_at > zoned.at, true)
                and there.said_at > here.said_at
                and case
                    when cardinality(wanted.ads) > 0 then later.ad_id = any(wanted.ads)
                    else exists (
                        select from core.ads
                        where
                            ads.ad_id = later.ad_id
                            and ads.bot_id is not null
                            and ads.updated_at <= zoned.at
                    )
                end
                and (
                    coalesce(there.said_at > choosing.as_of - wanted.least_silence, true)
                    or exists (
                        select from core.silences_changed as changed
                        where
                            changed.customer_id = any(zoned.ids)
                            and changed.changed_at >= choosing.changes_seen_at
                    )
                    or exists (
                        select from core.silences_filled as filled where filled.filled_at >= choosing.changes_seen_at
                    )
                )
        ) as is_there
    ) as newer
    cross join lateral (
        select max(messages.sent_at) as said_at
        from core.conversations
        inner join facts.messages on messages.conversation_id = conversations.conversation_id
        where
            conversations.customer_id = any(zoned.ids)
            and messages.is_customer_message
            and messages.sent_at <= zoned.at
            and messages.sent_at > zoned.at - make_interval(secs => wanted.reply_quiet_seconds)
    ) as spoken
    -- What the receiver has heard and no load has brought in yet: it is quiet from then on, and for as long as messages
    -- wait, since nobody knows before whether they move the anchor.
    cross join lateral (
        select max(replies.occurred_at) as said_at
        from campaign.replies
        where
            (
                replies.customer_id = any(zoned.ids)
                or (replies.customer_id is null and replies.address_hmac = zoned.address_hmac)
            )
            and replies.is_said
            and replies.occurred_at <= zoned.at
            and replies.occurred_at > zoned.at - make_interval(secs => wanted.reply_quiet_seconds)
    ) as heard
    cross join lateral (
        select exists (
            select from raw.received_messages as received
            where
                (
                    received.writer_id = any(
                        array(select writers.writer_id from core.writers where writers.customer_id = any(zoned.ids))
                    )
                    or received.wa_id = any(
                        array(
                            select numbers.wa_id
                            from core.writers
                            inner join core.writer_numbers as numbers on numbers.writer_id = writers.writer_id
                            where writers.customer_id = any(zoned.ids)
                        )
                    )
                )
                and received.fields ->> 'direction' = 'inbound'
                and received.fields ->> 'group_id' is null
                and coalesce(received.fields ->> 'kind', '') not in ('edit', 'revoke', 'system')
                and coalesce(cast(received.fields ->> 'sent_at' as timestamptz), '-infinity') <= zoned.at
        ) as is_there
    ) as waiting
    left join core.leads
        on leads.conversation_id = zoned.episode and leads.free_opens_at <= zoned.at
    left join lateral (
        select
            conversations.ad_id, told.status,
            -- as campaign.is_charged asks
            coalesce(
                conversations.account
                = any(case when conversations.is_derived then source.webhook_accounts else source.file_accounts end),
                true
            ) as is_our_number,
            -- of an ad that no load has told of, only the conversation may know the bot
            case when told.ad_id is null then conversations.bot_id else told.bot_id end as bot_id,
            (
                select min(later.updated_at)
                from core.ads as later
                where later.ad_id = conversations.ad_id and later.updated_at > zoned.at
            ) as changes_at
        from core.conversations
        left join lateral (
            select ads.ad_id, ads.bot_id, ads.status
            from core.ads
            where ads.ad_id = conversations.ad_id and ads.updated_at <= zoned.at
            order by ads.updated_at desc
            limit 1
        ) as told on true
        left join campaign.whatsapp_source as source on true
        where conversations.conversation_id = zoned.episode
    ) as ad on true
    where zoned.retargeting is not null
),

verdicts as materialized (
    select
        zoned.*, talks.due_at as talk_due_at, talks.quiet_until, talks.ad_asked_at, talks.asked_again_at,
        case
            when zoned.chosen_channel = 'whatsapp'
                then campaign.is_charged(zoned.ids, zoned.category, zoned.at, zoned.until)
        end as is_billable,
        case when zoned.chosen_channel = 'whatsapp' and not talks.after_free_window then talks.free_until end
            as free_until,
        hours.opens_at, hours.closes_at, capped.free_at as cap_free_at, spaced.free_at as step_free_at,
        case
            when zoned.closed_at <= zoned.at then 'closed'
            when
                zoned.campaign_state = 'ended'
                or cast(zoned.at at time zone zoned.zone as date) > zoned.ends_on
                then 'campaign_ended'
            when
                cardinality(zoned.ids) > 1
                and exists (
                    select from campaign.enrolments as first
                    where
                        first.campaign = zoned.campaign
                        and first.customer_id = any(zoned.ids)
                        and first.customer_id <> zoned.customer_id
                        and (first.enrolled_at, first.enrolment_id) < (zoned.enrolled_at, zoned.enrolment_id)
                        -- one that is over makes way, but not where the person was held out
                        and (
                            first.closed_at is null
                            or (first.arm <> zoned.arm and first.closed_at > zoned.enrolled_at)
                        )
                )
                then 'merged'
            when
                exists (
                    select from campaign.stop_events(
                        zoned.ids, zoned.stop_event, zoned.stop_where, zoned.stops_from, zoned.at
                    )
                )
                or exists (
                    select from campaign.stop_events(
                        zoned.ids, zoned.goal_event, zoned.goal_where, zoned.stops_from, zoned.at
                    )
                )
                then 'stop_event'
            when zoned.expires_at <= zoned.at then 'expired'
            when cast(zoned.at at time zone zoned.zone as date) < zoned.starts_on then 'not_started'
            when talks.due_at > zoned.at then 'replied'
            when talks.quiet_until > zoned.at then 'reply_quiet'
            when talks.has_newer_lead then 'newer_lead'
            when spaced.free_at > zoned.at then 'spacing'
            when not zoned.is_viable and zoned.refusal is not null then 'refused'
            when zoned.has_no_way then 'no_channel'
            when not zoned.is_viable and zoned.is_undelivered_there then 'marketing_not_delivered'
            when not zoned.is_viable and not zoned.has_any_consent then 'no_consent'
            when not zoned.is_viable and not zoned.has_any_address then 'no_address'
            when not zoned.is_viable then 'suppressed_address'
            when hours.send_key is not null and zoned.zones is null then 'zone_unknown'
            when
                zoned.chosen_channel = 'whatsapp'
                and not talks.after_free_window
                and (not talks.is_free_entry or (not hours.is_open and hours.opens_at >= talks.free_until))
                then 'outside_free_window'
            when talks.ad_holds is not null then talks.ad_holds
            when zoned.is_viable and zoned.needs_template and zoned.refusal is not null then 'refused'  -- none is left
            when zoned.is_viable and zoned.needs_template then 'needs_template'
            when not hours.is_open and (zoned.on_quiet = 'drop' or hours.opens_at is null) then 'quiet_dropped'
            when not hours.is_open then 'quiet'
            when capped.free_at is not null then 'capped'
            else 'clear'
        end as verdict
    from zoned
    left join hours on hours.send_key = zoned.send_key
    left join talks on talks.send_key = zoned.send_key
    -- The moment a cap leaves room again: its n-th newest message leaves the rolling period. What is in doubt counts,
    -- what a purchase brings with it neither counts nor is counted against.
    -- (States are excluded rather than listed: PostgreSQL 18 would otherwise walk the index on states.)
    cross join lateral (
        select max(counted.at + make_interval(secs => cap.seconds)) as free_at
        from jsonb_to_recordset(zoned.caps) as cap (messages int, seconds double precision, channel text)
        cross join lateral (
            select coalesce(others.accepted_at, others.claimed_at) as at
            from campaign.sends as others
            where
                others.customer_id = any(zoned.ids)
                and others.state not in ('planned', 'retry_wait', 'rejected', 'suppressed', 'cancelled', 'expired')
                and others.purpose is distinct from 'transactional'
                and (cap.channel is null or others.channel = cap.channel)
                and coalesce(others.accepted_at, others.claimed_at) > zoned.at - make_interval(secs => cap.seconds)
                -- Played in the past, it meets neither what came later nor what the campaign itself really sent.
                and (
                    zoned.plays is null
                    or (
                        others.campaign <> zoned.plays
                        and coalesce(others.accepted_at, others.claimed_at) <= zoned.at
                    )
                )
            order by coalesce(others.accepted_at, others.claimed_at) desc
            offset cap.messages - 1
            limit 1
        ) as counted
        where
            zoned.purpose <> 'transactional'
            and (cap.channel is null or cap.channel = zoned.chosen_channel)
    ) as capped
    -- The gap between steps never shrinks below the difference of their offsets, also after an outage (A2b). Where the
    -- anchor moves, due times are no measure of it.
    cross join lateral (
        select
            max(
                coalesce(earlier.accepted_at, earlier.claimed_at)
                + coalesce(
                    make_interval(
                        secs => cast(zoned.retargeting -> 'offsets' ->> (zoned.step_no - 1) as double precision)
                        - cast(
                            zoned.retargeting -> 'offsets' ->> (cast(split_part(earlier.step, '.', 1) as int) - 1)
                            as double precision
                        )
                    ),
                    zoned.due_at - earlier.due_at
                )
            ) as free_at
        from campaign.sends as earlier
        where
            zoned.step_no > 1
            and earlier.enrolment_id = zoned.enrolment_id
            and earlier.state not in ('planned', 'retry_wait', 'rejected', 'suppressed', 'cancelled', 'expired')
            and cast(split_part(earlier.step, '.', 1) as int) < zoned.step_no
    ) as spaced
),

decided as (
    update campaign.sends
    set
        state = case
            when verdicts.verdict = 'clear' then 'in_flight'
            when verdicts.verdict in ('closed', 'campaign_ended', 'merged', 'stop_event') then 'cancelled'
            when verdicts.verdict = 'expired' then 'expired'
            when verdicts.verdict = 'refused' then 'rejected'
            when
                verdicts.verdict in (
                    'not_started', 'spacing', 'quiet', 'capped', 'replied', 'reply_quiet', 'newer_lead', 'ad_paused',
                    'no_bot'
                )
                then sends.state
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
        due_at = coalesce(verdicts.talk_due_at, sends.due_at),
        expires_at = sends.expires_at + greatest(coalesce(verdicts.talk_due_at - sends.due_at, '0'), '0'),
        billable = case when verdicts.verdict = 'clear' then verdicts.is_billable end,
        price_category = case when verdicts.verdict = 'clear' then verdicts.category end,
        price_country = case
            when verdicts.verdict = 'clear' and verdicts.category is not null then verdicts.phone_country
        end,
        not_before = case verdicts.verdict
            when 'replied' then verdicts.talk_due_at
            when 'reply_quiet' then verdicts.quiet_until
            when 'newer_lead' then verdicts.asked_again_at
            when 'ad_paused' then verdicts.ad_asked_at
            when 'no_bot' then verdicts.ad_asked_at
            when 'not_started' then cast(verdicts.starts_on as timestamp) at time zone verdicts.zone
            when 'spacing' then verdicts.step_free_at
            when 'quiet' then verdicts.opens_at
            when 'capped' then verdicts.cap_free_at
            else sends.not_before
        end,
        settled_at = case
            when
                verdicts.verdict not in (
                    'clear', 'not_started', 'spacing', 'quiet', 'capped', 'replied', 'reply_quiet', 'newer_lead',
                    'ad_paused', 'no_bot'
                )
                then verdicts.at
        end,
        channel = coalesce(verdicts.chosen_channel, sends.channel),
        provider = coalesce(case when verdicts.is_viable then verdicts.provider end, sends.provider),
        voucher_code = verdicts.voucher_code,
        attempt_no = sends.attempt_no + case when verdicts.verdict = 'clear' then 1 else 0 end,
        claim_token = case when verdicts.verdict = 'clear' then cast(:token as uuid) end,
        lease_until = case when verdicts.verdict = 'clear' then clock_timestamp() + cast(:lease as interval) end,
        claimed_at = case when verdicts.verdict = 'clear' then verdicts.at else sends.claimed_at end,
        purpose = case when verdicts.verdict = 'clear' then verdicts.purpose else sends.purpose end
    from verdicts
    where sends.send_key = verdicts.send_key
    returning
        sends.send_key, sends.state, sends.reason, sends.campaign, sends.enrolment_id, sends.step, sends.variant,
        sends.channel, sends.provider, sends.attempt_no, sends.voucher_code, verdicts.at as decided_at,
        least(sends.expires_at, verdicts.closes_at, verdicts.free_until) as deliver_by, sends.resent_at,
        verdicts.person_id, verdicts.first_name, verdicts.last_name, verdicts.language, verdicts.country,
        verdicts.evidence, verdicts.address, verdicts.platform, verdicts.address_hmac,
        verdicts.ids, verdicts.purpose, verdicts.accepted_bases
)

select
    send_key, state, reason, campaign, enrolment_id, step, variant, channel, provider, attempt_no, voucher_code,
    decided_at, deliver_by, person_id, first_name, last_name, language, country, evidence, address, platform,
    address_hmac,
    coalesce(earlier.busy_tries, 0) as busy_tries,
    coalesce(earlier.provider_caps, 0) as provider_caps,
    coalesce(earlier.goes_alone, false) as goes_alone,
    proof.consent_id,
    proof.consent_load_id
from decided
left join lateral (
    -- the newest grant it rests on, under the same view of the data (C23)
    select
        grants.consent_id,
        consents.load_id as consent_load_id
    from campaign.grants_in_force(decided.ids, decided.decided_at, decided.purpose) as grants
    inner join core.consents on grants.consent_id = consents.consent_id
    where
        decided.state = 'in_flight'
        and grants.channel = decided.channel
        and grants.basis = any(decided.accepted_bases)
    order by grants.occurred_at desc, grants.consent_id
    limit 1
) as proof on true
left join lateral (
    select
        cast(count(*) filter (where attempts.outcome = 'busy' and attempts.retry_after is null) as int) as busy_tries,
        cast(count(*) filter (where attempts.reason = 'provider_cap') as int) as provider_caps,
        bool_or(attempts.outcome = 'returned') as goes_alone
    from campaign.attempts
    where
        attempts.send_key = decided.send_key
        and decided.attempt_no > 1
        and (decided.resent_at is null or attempts.decided_at > decided.resent_at)
) as earlier on true
