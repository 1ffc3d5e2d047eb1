/*
A checkout without a customer but with an email belongs to its guest, also a version that another one replaces.

owner: engineering
grain: updates the lines of guests
*/
update checked
set customer_id = came_as_guest.guest_id
from came_as_guest
where
    checked.customer_id is null
    and (checked.verdict in ('accepted', 'duplicate') or checked.reason = 'conflicting_version')
    and checked.email = came_as_guest.email
