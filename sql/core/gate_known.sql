/*
Lines parked when they were checked whose customer has come since, under this id or another.

owner: engineering
grain: updates parked lines
*/
update checked
set verdict = 'accepted', customer_known = true
where
    checked.verdict = 'parked'
    and checked.customer_id in (
        select customers.customer_id
        from core.customers
        union all
        select aliases.alias_id
        from core.aliases
    )
