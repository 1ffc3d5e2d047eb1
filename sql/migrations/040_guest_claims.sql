-- Who ever had an address that has changed since, so that who owns a guest does not hang on what came first. The id of a
-- guest is the keyed hash of an address; the address itself is not kept. Customers whose email never changed have no row.
create table core.guest_claims (
    guest_id text not null,               -- of a guest who may not have come yet
    customer_id text not null,
    primary key (guest_id, customer_id)
);
create index on core.guest_claims (customer_id);
