/*
A checkout without a customer but with an email belongs to its guest.

owner: engineering
grain: updates the lines of guests
*/
update checked
set customer_id = came_as_guest.guest_id
from came_as_guest
where
    checked.customer_id is null
    and checked.verdict = 'accepted'
    and checked.email = came_as_guest.email
