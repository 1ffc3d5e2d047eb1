/*
Keep of a person what the figures measured so far are counted by: language and country, under the random name. Somebody
who was never enrolled is in no figure, and nothing is kept.

owner: engineering
grain: one row, or none
params:
  ids: text[] - every id of the person
  customer_id: text - the canonical one
  pseudonym: text - the random name
*/
insert into campaign.erased_people (customer_id, language, country)
select cast(:pseudonym as text), customers.language, customers.country
from core.customers
where
    customers.customer_id = cast(:customer_id as text)
    and exists (select from campaign.enrolments where enrolments.customer_id = any(cast(:ids as text[])))
on conflict (customer_id) do nothing
