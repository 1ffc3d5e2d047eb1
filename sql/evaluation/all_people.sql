/*
Count the people of all campaigns together, each once: enrolled, reached, and with a goal credited to a message.

A goal is the campaign's own whose message it is credited to; of several the shortest way counts.

owner: engineering
grain: one row for enrolled, one for reached, and one per hour for converted
params:
  as_of: timestamptz - the moment that is measured
*/
insert into evaluation.all_people (what, hours, people)
with enrolled as (
    select count(distinct coalesce(alias.customer_id, enrolment.customer_id)) as people
    from campaign.enrolments as enrolment
    left join core.aliases as alias on alias.alias_id = enrolment.customer_id
    where enrolment.enrolled_at <= cast(:as_of as timestamptz)
),

converted as (
    select person_id, min(hours) as hours
    from attributed_entries
    where conversions = 1
    group by person_id
)

select 'enrolled' as what, 0 as hours, enrolled.people
from enrolled
union all
select 'reached', 0, count(distinct measured_sends.person_id)
from measured_sends
union all
select 'converted', converted.hours, count(*)
from converted
group by converted.hours
