/*
The history of claimed guests moves to the customer: checkouts and consents; the guest's own customer row goes.

owner: engineering
grain: one row
params:
  guests: text[] - ids of the guests claimed just now
returns:
  checkouts: bigint - checkouts that moved
*/
with claimed as (
    select
        alias_id,
        customer_id
    from core.aliases
    where alias_id = any (cast(:guests as text []))
),

moved_checkouts as (
    update core.checkouts
    set customer_id = claimed.customer_id
    from claimed
    where checkouts.guest_id = claimed.alias_id and checkouts.customer_id <> claimed.customer_id
    returning checkouts.checkout_id
),

moved_consents as (
    update core.consents
    set customer_id = claimed.customer_id
    from claimed
    where consents.customer_id = claimed.alias_id
),

-- those that went to another claimant before
moved_inquiries as (
    update core.consents
    set customer_id = claimed.customer_id
    from core.checkouts
    inner join claimed on checkouts.guest_id = claimed.alias_id
    where
        consents.consent_id = 'inquiry:checkout:' || checkouts.checkout_id
        and consents.customer_id not in (claimed.alias_id, claimed.customer_id)
),

gone as (
    delete from core.customers
    using claimed
    where customers.customer_id = claimed.alias_id
)

select count(*) as checkouts
from moved_checkouts
