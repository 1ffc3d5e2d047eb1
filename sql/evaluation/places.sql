/*
List the languages, countries and currencies that each campaign's page can be narrowed to.

owner: engineering
grain: one row per campaign, kind and value
*/
insert into evaluation.places (campaign, kind, value, size)
with people as (
    select campaign, language, country, people as size
    from evaluation.people
    union all
    select campaign, language, country, leads
    from evaluation.leads
),

bought as (
    select campaign, currency, purchases
    from evaluation.attributed
    union all
    select campaign, currency, purchases
    from evaluation.incremental
)

select campaign, 'language' as kind, language as value, sum(size)
from people
group by campaign, language
union all
select campaign, 'country', country, sum(size)
from people
group by campaign, country
union all
select campaign, 'currency', currency, sum(purchases)
from bought
group by campaign, currency
having sum(purchases) > 0
