/*
What leads to one person besides their ids: addresses, names, devices, conversations, browsers.

owner: engineering
grain: one row
params:
  ids: text[] - every id of the person
returns:
  emails: text[] - addresses as they came and in the form that is compared
  canonical_emails: text[] - addresses in the form that is compared
  phones: text[] - numbers as they came, E.164, and its digits alone
  e164_phones: text[] - numbers in E.164
  names: text[] - first and last name together, with a line feed between them
  app_endpoints: text[] - push tokens of apps
  web_endpoints: text[] - push subscriptions of browsers
  conversations: text[] - conversation ids
  visitors: text[] - ids of browsers that only this person used
*/
with customers as materialized (
    select email, email_canonical, phone, phone_e164, first_name, last_name
    from core.customers
    where customer_id = any(cast(:ids as text[]))
),

checkouts as materialized (
    select visitor_id, email, first_name, last_name
    from core.checkouts
    where customer_id = any(cast(:ids as text[])) or guest_id = any(cast(:ids as text[]))
),

guests as materialized (
    select email_canonical from core.guests where guest_id = any(cast(:ids as text[]))
),

emails as (
    select email from customers
    union
    select email_canonical from customers
    union
    select email from checkouts
    union
    select email_canonical from guests
),

phones as (
    select phone from customers
    union
    select phone_e164 from customers
    union
    select ltrim(phone_e164, '+') from customers
    union
    select wa_id from core.writer_numbers where writer_id = any(cast(:ids as text[]))
),

names as (
    select first_name, last_name from customers
    union
    select first_name, last_name from checkouts
),

browsers as (
    select visitor_id from checkouts
    union
    select visitor_id from core.visits where customer_id = any(cast(:ids as text[]))
)

select
    array(select email from emails where email <> '') as emails,
    array(
        select email_canonical from customers where email_canonical is not null
        union
        select email_canonical from guests
    ) as canonical_emails,
    array(select phone from phones where phone <> '') as phones,
    array(
        select phone_e164 from customers where phone_e164 is not null
        union
        select phone from core.writer_numbers where writer_id = any(cast(:ids as text[]))
    ) as e164_phones,
    array(select first_name || E'\n' || last_name from names where first_name <> '' and last_name <> '') as names,
    array(
        select endpoint from core.push_tokens
        where customer_id = any(cast(:ids as text[])) and platform <> 'webpush' and endpoint is not null
    ) as app_endpoints,
    array(
        select endpoint from core.push_tokens
        where customer_id = any(cast(:ids as text[])) and platform = 'webpush' and endpoint is not null
    ) as web_endpoints,
    array(
        select conversation_id from core.conversations where customer_id = any(cast(:ids as text[]))
        -- under which they were written before what came later joined it to another
        union
        select conversation_id from core.messages
        where writer_id = any(cast(:ids as text[])) and conversation_id is not null
    ) as conversations,
    array(
        select visitor_id from browsers
        where
            visitor_id is not null
            and not exists (
                select from core.visits
                where
                    visits.visitor_id = browsers.visitor_id
                    and visits.customer_id <> all(cast(:ids as text[]))
            )
    ) as visitors
