/*
Guests from whom a newer version takes a checkout: what is left must describe them.

owner: engineering
grain: one row per guest and checkout, into the temporary table came_as_guest
*/
insert into came_as_guest (email, guest_id, email_canonical)
select
    guests.email_canonical as email,
    guests.guest_id,
    guests.email_canonical
from checked
inner join core.checkouts on checked.key = checkouts.checkout_id
inner join core.guests on checkouts.guest_id = guests.guest_id
where checked.verdict = 'accepted' and checked.head
