/*
Count accepted messages by what providers reported of them up to a moment; each message once per column.

owner: evaluation
grain: one row per campaign, step and channel
params:
  as_of: timestamptz - the moment that is measured
*/
insert into evaluation.reports (
    campaign, step, channel, accepted, delivered, opened, machine_opened, clicked, failed, complained, unsubscribed,
    replied
)
select
    sends.campaign,
    sends.step,
    sends.channel,
    count(*),
    -- An open or a click proves that it arrived, also where the report of that is missing.
    count(*) filter (
        where least(
            reports.delivered_at, reports.opened_at, reports.machine_opened_at, reports.clicked_at, reports.replied_at
        ) <= cast(:as_of as timestamptz)
    ),
    count(*) filter (where least(reports.opened_at, reports.clicked_at) <= cast(:as_of as timestamptz)),
    count(*) filter (
        where reports.machine_opened_at <= cast(:as_of as timestamptz)
            and coalesce(least(reports.opened_at, reports.clicked_at) > cast(:as_of as timestamptz), true)
    ),
    count(*) filter (where reports.clicked_at <= cast(:as_of as timestamptz)),
    count(*) filter (where least(reports.bounced_at, reports.failed_at) <= cast(:as_of as timestamptz)),
    count(*) filter (where reports.complained_at <= cast(:as_of as timestamptz)),
    count(*) filter (where reports.unsubscribed_at <= cast(:as_of as timestamptz)),
    count(*) filter (where reports.replied_at <= cast(:as_of as timestamptz))
from campaign.sends
left join campaign.message_reports as reports on reports.send_key = sends.send_key
where sends.accepted_at <= cast(:as_of as timestamptz)
group by sends.campaign, sends.step, sends.channel
