/*
What providers reported of accepted messages, by channel.

Metabase: field filter campaign, mapped to that column of Reports.

Over all time, each message once per column. Shares are of accepted. Counts of channels, campaigns and steps add up, and
shares do not. A click counts as opened by a person. machine_opened was opened by machines only.
*/
select
    reports.channel,
    sum(reports.accepted) as accepted,
    sum(reports.delivered) as delivered,
    sum(reports.opened) as opened,
    sum(reports.machine_opened) as machine_opened,
    sum(reports.clicked) as clicked,
    sum(reports.replied) as replied,
    sum(reports.failed) as failed,
    sum(reports.complained) as complained,
    sum(reports.unsubscribed) as unsubscribed,
    round(sum(reports.delivered) / nullif(sum(reports.accepted), 0), 4) as delivered_share,
    round(sum(reports.opened) / nullif(sum(reports.accepted), 0), 4) as opened_share,
    round(sum(reports.clicked) / nullif(sum(reports.accepted), 0), 4) as clicked_share,
    round(sum(reports.replied) / nullif(sum(reports.accepted), 0), 4) as replied_share
from evaluation.reports
where {{campaign}}
group by reports.channel
order by accepted desc, reports.channel
