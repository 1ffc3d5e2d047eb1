/*
A load that brings no guests.

owner: engineering
grain: nothing
*/
create temporary table came_as_guest (guest_id text not null, email_canonical text not null) on commit drop
