/*
Whether the receiver has taken messages that no load has brought in.

owner: engineering
grain: one row
returns:
  found: boolean - there are some
*/
select exists (select from raw.received_messages) as found
