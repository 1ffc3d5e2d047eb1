/*
Count retargets, first responses and qualifications in the hour in which each happened, on the shop's clock (R20, R21).

A response or a qualification stands in its own hour, which may be days after the hour of the retarget it is credited
to. The hour that comes twice when clocks go back is one hour of that day.

owner: engineering
grain: one row per campaign, order, language, country, and day and hour in which anything happened
*/
insert into evaluation.retargets_by_hour (
    campaign, retarget, language, country, happened_on, hour, retargeted, first_responses, qualified
)
select
    measured.campaign,
    measured.retarget,
    measured.language,
    measured.country,
    cast(clock.local_at as date) as happened_on,
    cast(extract(hour from clock.local_at) as integer) as hour,
    count(*) filter (where happening.what = 'retargeted') as retargeted,
    count(*) filter (where happening.what = 'responded') as first_responses,
    count(*) filter (where happening.what = 'qualified') as qualified
from measured_retargets as measured
cross join campaign.database as place
cross join lateral (
    values
    ('retargeted', measured.sent_at), ('responded', measured.responded_at), ('qualified', measured.qualified_at)
) as happening(what, at)
cross join lateral (select happening.at at time zone place.business_zone as local_at) as clock
where happening.at is not null
group by 1, 2, 3, 4, 5, 6
