/*
Take the campaign's rows that have not left, before any decision about them is touched: planning and claiming take
locks in one order, ledger first. A claim skips these rows until the plan is committed.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
returns:
  locked: bigint - rows that wait for us
*/
with waiting as materialized (
    select send_key
    from campaign.sends
    where campaign = cast(:campaign as text) and state in ('planned', 'retry_wait')
    order by send_key
    for no key update
)

select count(*) as locked
from waiting
