/*
Whether a customer is known, under which id, and when their campaign was last asked about everybody or who changed.

owner: engineering
grain: one row
params:
  customer_id: text - as the person asking knows them
  campaign: text - the campaign
  as_of: timestamptz - the moment asked about
returns:
  person_id: text - the id they have today
  is_known: boolean - whether there is such a customer
  last_chosen_at: timestamptz nullable - the last complete choosing of the campaign
*/
select
    person.customer_id as person_id,
    exists (select from core.customers where customers.customer_id = person.customer_id) as is_known,
    (
        select max(runs.as_of)
        from campaign.runs
        where
            runs.flow = 'reengage'
            and runs.campaign = cast(:campaign as text)
            and runs.state = 'completed'
            and runs.segment_sha256 is not null
            and runs.as_of <= cast(:as_of as timestamptz)
    ) as last_chosen_at
from campaign.person(cast(:customer_id as text)) as person
