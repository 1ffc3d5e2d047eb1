/*
Audiences on ad platforms right now: who should be in, who is, what is on the way, and what the platform says of it.

Superset: a virtual dataset. Filters on campaign act within it.

oldest_removal_at tells since when somebody should be out who is still in, or may be. trouble is why the platform cannot
be told anything. One person may be in several audiences: rows do not add up to people.
*/
{% set campaigns = filter_values('campaign', remove_filter=True) %}
select
    audiences.campaign,
    audiences.platform,
    audiences.audience,
    audiences.wanted,
    audiences.applied,
    audiences.in_flight,
    audiences.to_add,
    audiences.to_remove,
    audiences.leaving,
    audiences.refused,
    audiences.oldest_removal_at,
    audiences.trouble,
    audiences.measured_on,
    audiences.least,
    audiences.most,
    audiences.match_rate,
    audiences.is_usable
from evaluation.audiences
{% if campaigns %}where audiences.campaign in {{ campaigns | where_in }}{% endif %}
order by audiences.campaign, audiences.platform, audiences.audience
