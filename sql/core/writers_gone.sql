/*
Bare customers who turned out to be somebody else go; one who also bought or did something under that id stays, without
the number.

owner: engineering
grain: deletes customers, and updates those who stay
*/
with somebody_else as (
    select writers.writer_id as customer_id
    from touched_people
    inner join core.writers on touched_people.customer_id = writers.writer_id
    where writers.customer_id <> writers.writer_id
),

staying as (
    update core.customers
    set
        phone = null,
        phone_e164 = null,
        phone_reason = null,
        time_zones = '{}',
        legal_areas = null,
        phone_country = null
    from somebody_else
    where customers.customer_id = somebody_else.customer_id and customers.is_bare and customers.phone is not null
)

delete from core.customers
using somebody_else
where
    customers.customer_id = somebody_else.customer_id
    and customers.is_bare
    and not exists (select from core.purchases where purchases.customer_id = customers.customer_id)
    and not exists (select from core.purchases where purchases.came_as = customers.customer_id)
    and not exists (select from core.checkouts where checkouts.customer_id = customers.customer_id)
    and not exists (select from core.events where events.customer_id = customers.customer_id)
    and not exists (select from core.events where events.came_as = customers.customer_id)
    and not exists (
        select from core.conversations
        where conversations.customer_id = customers.customer_id and not conversations.is_derived
    )
    and not exists (select from core.conversations where conversations.came_as = customers.customer_id)
