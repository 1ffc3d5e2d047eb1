/*
Note everyone whose conversation came from an ad that gains or loses its bot in this load, before it is stored.

owner: engineering
grain: one row per customer
*/
insert into core.silences_changed (customer_id)
select distinct conversations.customer_id
from checked
inner join core.conversations on checked.ad_id = conversations.ad_id
where
    checked.verdict = 'accepted'
    and checked.head
    and (checked.bot_id is null) is distinct from (
        select ads.bot_id is null
        from core.ads
        where ads.ad_id = checked.ad_id and ads.updated_at < checked.updated_at
        order by ads.updated_at desc
        limit 1
    )
order by conversations.customer_id
on conflict (customer_id) do update
set changed_at = excluded.changed_at
