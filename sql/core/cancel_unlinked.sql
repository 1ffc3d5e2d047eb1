/*
How many cancellations of a load point at no order we know.

owner: engineering
grain: one row
params:
  prefixes: text[] - how the source marks the number of a cancellation
returns:
  unlinked: bigint - accepted orders that cancel something unknown
*/
select count(*) as unlinked
from checked
left join core.purchases as cancelled on checked.cancels = cancelled.order_id
where
    checked.verdict = 'accepted'
    and checked.head
    and checked.status <> 'paid'
    and (
        (checked.cancels is not null and cancelled.order_id is null)
        or (
            checked.cancels is null
            and (
                checked.amount < 0
                or exists (
                    select from unnest(cast(:prefixes as text [])) as marked (prefix)
                    where starts_with(checked.order_id, marked.prefix)
                )
            )
        )
    )
