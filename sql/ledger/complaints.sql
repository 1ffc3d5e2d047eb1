/*
Campaigns of which too many of the last thousand delivered emails were called spam (C10).

An email counts as delivered unless its failure was reported. What was accepted before somebody resumed the campaign is
forgiven. A few emails prove nothing, unless the complaints are many.

owner: engineering
grain: one row per campaign to be paused
params:
  campaigns: jsonb - campaign, and the share of complaints it may not reach
  window_size: int - so many of the newest emails count
  certain: int - as many complaints suffice when there are fewer emails
returns:
  campaign: text unique - the campaign
  delivered: bigint - emails that count
  complained: bigint - complaints about them
*/
select asked.campaign, newest.delivered, newest.complained
from jsonb_to_recordset(cast(:campaigns as jsonb)) as asked (campaign text, share double precision)
left join campaign.campaigns as known on known.campaign = asked.campaign
cross join lateral (
    select count(*) as delivered, count(emails.complained_at) as complained
    from (
        select reports.complained_at
        from campaign.sends
        left join campaign.message_reports as reports on reports.send_key = sends.send_key
        where
            sends.campaign = asked.campaign
            and sends.channel = 'email'
            and sends.accepted_at is not null
            and sends.accepted_at > coalesce(known.resumed_at, '-infinity')
            and reports.bounced_at is null
            and reports.failed_at is null
        order by sends.accepted_at desc
        limit cast(:window_size as int)
    ) as emails
) as newest
where
    coalesce(known.state, 'active') = 'active'
    and newest.complained >= asked.share * newest.delivered
    and newest.complained > 0
    and (newest.delivered >= cast(:window_size as int) or newest.complained >= cast(:certain as int))
