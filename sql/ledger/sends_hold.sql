/*
Say on due rows of a held or paused campaign why they stay planned, and take it back when the reason is gone.

owner: engineering
grain: one row per changed send
params:
  at: timestamptz nullable - simulated moment; null: the database's clock
  campaign: text nullable - one campaign only
returns:
  send_key: text unique - the row
*/
with

clock as materialized (
    select coalesce(cast(:at as timestamptz), clock_timestamp()) as at
),

waiting as materialized (
    select
        sends.send_key, sends.reason,
        case
            when exists (
                select from campaign.campaigns as paused
                where paused.state = 'paused' and paused.campaign in (sends.campaign, '*')
            ) then 'campaign_paused'
            when exists (select from campaign.holds where holds.campaign = sends.campaign) then 'gate'
        end as wanted
    from campaign.sends
    cross join clock
    where
        sends.state in ('planned', 'retry_wait')
        and sends.not_before <= clock.at
        and (cast(:campaign as text) is null or sends.campaign = cast(:campaign as text))
    -- a row that somebody decides about right now is looked at again by the next dispatch
    for no key update of sends skip locked
)

update campaign.sends
set reason = waiting.wanted
from waiting
where
    sends.send_key = waiting.send_key
    and waiting.reason is distinct from waiting.wanted
    and (waiting.wanted is not null or waiting.reason in ('campaign_paused', 'gate'))
returning sends.send_key
