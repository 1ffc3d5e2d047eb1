/*
What the channels answered about each person, side by side, and as the gates in the campaign's order.

owner: engineering
params:
  channels: text[] - channels of the campaign, in order
*/
create temporary table offers on commit drop as
select
    person_id,
    coalesce(array_agg(channel) filter (where viable), '{}') as viable,
    jsonb_object_agg(channel, reason) filter (where not viable) as refusals,
    jsonb_agg(
        jsonb_build_object('channel', channel, 'consent', consent, 'answer', coalesce(reason, 'viable'))
        order by array_position(cast(:channels as text[]), channel)
    ) as gates
from eligible
where channel = any(cast(:channels as text[]))
group by person_id
