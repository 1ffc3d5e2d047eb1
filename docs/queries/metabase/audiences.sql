/*
Audiences on ad platforms right now: who should be in, who is, what is on the way, and what the platform says of it.

Metabase: field filter campaign, mapped to that column of Audiences.

oldest_removal_at tells since when somebody should be out who is still in, or may be. trouble is why the platform cannot
be told anything. One person may be in several audiences: rows do not add up to people.
*/
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
where {{campaign}}
order by audiences.campaign, audiences.platform, audiences.audience
