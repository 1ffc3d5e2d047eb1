/*
Campaigns to be paused for what was reported of their messages, and why: WhatsApp does not take a template any more, too
many were called spam (C10), or too many failed after they had been accepted (P18). And channels that are to halt, since
their provider says of messages it had taken that our account or number is at fault.

Two shares count: of the newest messages, and of those of the last day, since in a long run reports are about messages
that the newest have left far behind. A message counts as delivered unless its failure was reported; some providers tell
of failures only. That a provider brings this person no more marketing for now is no failure. What was accepted before
somebody resumed the campaign is forgiven. A few emails prove nothing, unless the complaints are many.

owner: engineering
grain: one row per campaign to be paused or to lose a channel
params:
  campaigns: jsonb - campaign, share of complaints it may not reach, share of errors it may not exceed, of how many
  at: timestamptz nullable - simulated moment; null: the database's clock
  since: timestamptz - only messages accepted after this moment halt a channel
  window_size: int - so many of the newest messages count
  certain: int - as many complaints suffice when there are fewer emails
returns:
  campaign: text unique - the campaign
  reason: text nullable - template, complaint_rate or error_rate; null: it goes on
  halted: text[] nullable - channels that are to halt
*/
with

asked as materialized (
    select
        given.campaign, given.complaints, given.errors, given.at_least,
        coalesce(known.resumed_at, '-infinity') as resumed_at,
        coalesce(cast(:at as timestamptz), clock_timestamp()) - interval '1 day' as a_day_ago
    from jsonb_to_recordset(cast(:campaigns as jsonb)) as given (
        campaign text, complaints double precision, errors double precision, at_least bigint
    )
    left join campaign.campaigns as known on known.campaign = given.campaign
    where coalesce(known.state, 'active') = 'active'
),

-- Clocks of providers may be behind ours: nothing of a day's messages is told an hour before it. The limit keeps the
-- join from being planned as if every third report were one of them.
told as materialized (
    select
        sent.campaign, sent.channel, sent.accepted_at, reports.failed_reason,
        reports.bounced_at is not null or reports.failed_at is not null as is_undelivered,
        reports.bounced_at is not null
        or (reports.failed_at is not null and reports.failed_reason is distinct from 'provider_cap') as has_failed,
        reports.complained_at is not null as has_complained
    from campaign.message_reports as reports
    cross join lateral (
        select sends.campaign, sends.channel, sends.accepted_at
        from campaign.sends
        where sends.send_key = reports.send_key
        limit 1
    ) as sent
    where
        least(reports.bounced_at, reports.failed_at, reports.complained_at)
        > (select min(asked.a_day_ago) from asked) - interval '1 hour'
),

newest as (
    select asked.campaign, emails.delivered, emails.complained, messages.accepted, messages.failed
    from asked
    cross join lateral (
        select count(*) as delivered, count(sent.complained_at) as complained
        from (
            select reports.complained_at
            from campaign.sends
            left join campaign.message_reports as reports on reports.send_key = sends.send_key
            where
                asked.complaints is not null
                and sends.campaign = asked.campaign
                and sends.channel = 'email'
                and sends.accepted_at is not null
                and sends.accepted_at > asked.resumed_at
                and reports.bounced_at is null
                and reports.failed_at is null
            order by sends.accepted_at desc
            limit cast(:window_size as int)
        ) as sent
    ) as emails
    cross join lateral (
        select count(*) as accepted, count(*) filter (where sent.has_failed) as failed
        from (
            select
                reports.bounced_at is not null
                or (reports.failed_at is not null and reports.failed_reason is distinct from 'provider_cap')
                    as has_failed
            from campaign.sends
            left join campaign.message_reports as reports on reports.send_key = sends.send_key
            where
                sends.campaign = asked.campaign
                and sends.accepted_at is not null
                and sends.accepted_at > asked.resumed_at
            order by sends.accepted_at desc
            limit cast(:window_size as int)
        ) as sent
    ) as messages
),

of_a_day as (
    select
        asked.campaign,
        sent.emails - heard.undelivered_emails as delivered,
        heard.complained,
        sent.messages as accepted,
        heard.failed
    from asked
    cross join lateral (
        select count(*) as messages, count(*) filter (where channel = 'email') as emails
        from campaign.sends
        where
            sends.campaign = asked.campaign
            and sends.accepted_at is not null
            and sends.accepted_at > greatest(asked.a_day_ago, asked.resumed_at)
    ) as sent
    cross join lateral (
        select
            count(*) filter (where channel = 'email' and is_undelivered) as undelivered_emails,
            count(*) filter (where channel = 'email' and has_complained and not is_undelivered) as complained,
            count(*) filter (where has_failed) as failed
        from told
        where told.campaign = asked.campaign and told.accepted_at > greatest(asked.a_day_ago, asked.resumed_at)
    ) as heard
),

shares as (
    select
        asked.campaign,
        bool_or(
            counted.complained >= asked.complaints * counted.delivered
            and counted.complained > 0
            and (counted.delivered >= cast(:window_size as int) or counted.complained >= cast(:certain as int))
        ) as is_complained,
        bool_or(
            counted.failed > asked.errors * counted.accepted and counted.accepted >= asked.at_least
        ) as is_failing
    from asked
    inner join (
        select campaign, delivered, complained, accepted, failed
        from newest
        union all
        select campaign, delivered, complained, accepted, failed
        from of_a_day
    ) as counted on counted.campaign = asked.campaign
    group by asked.campaign
),

about_us as (
    select
        asked.campaign,
        bool_or(told.failed_reason = 'template') as has_lost_template,
        array_agg(distinct told.channel) filter (
            where told.failed_reason = 'misconfigured' and told.accepted_at > cast(:since as timestamptz)
        ) as halted
    from asked
    inner join told on told.campaign = asked.campaign and told.accepted_at > asked.resumed_at
    group by asked.campaign
),

judged as (
    select
        shares.campaign, about_us.halted,
        case
            when about_us.has_lost_template then 'template'
            when shares.is_complained then 'complaint_rate'
            when shares.is_failing then 'error_rate'
        end as reason
    from shares
    left join about_us on about_us.campaign = shares.campaign
)

select campaign, reason, halted
from judged
where reason is not null or halted is not null
