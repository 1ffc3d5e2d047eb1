/*
Remember guests by the email that makes them one, those of replaced versions as well: who is known must not hang on
which version came first.

owner: engineering
grain: one row per guest of the temporary table came_as_guest
*/
insert into core.guests (guest_id, email_canonical)
select distinct
    came_as_guest.guest_id,
    came_as_guest.email_canonical
from came_as_guest
inner join checked on came_as_guest.guest_id = checked.customer_id
where checked.verdict in ('accepted', 'duplicate') or checked.reason = 'conflicting_version'
on conflict (guest_id) do nothing
