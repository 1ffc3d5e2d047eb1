/*
What the channels answered about each person, side by side.

owner: engineering
*/
create temporary table offers on commit drop as
select
    person_id,
    coalesce(array_agg(channel) filter (where viable), '{}') as viable,
    jsonb_object_agg(channel, coalesce(reason, 'viable')) as answers,
    jsonb_object_agg(channel, consent) as consents
from eligible
group by person_id
