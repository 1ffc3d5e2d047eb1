/*
What an erasure still has to wait for: messages being handed over, ad platforms that have not confirmed, runs that may
have read the person before they were gone.

owner: engineering
grain: one row
params:
  receipt_id: uuid - the erasure
  ids: text[] - every id of the person
returns:
  in_flight: bigint - messages that a worker is handing over
  audiences: bigint - places in audiences that a platform has not confirmed to be given up
  runs: bigint - runs that began before the person was gone
*/
select
    (
        select count(*)
        from campaign.sends
        where customer_id = any(cast(:ids as text[])) and state = 'in_flight'
    ) as in_flight,
    (
        select count(*)
        from campaign.audience_members
        where
            customer_id = any(cast(:ids as text[]))
            and (
                applied
                or exists (
                    select from campaign.audience_requests as requests
                    where requests.request_id = audience_members.request_id and requests.state = 'waiting'
                )
            )
    ) as audiences,
    (
        select count(*)
        from campaign.runs
        inner join campaign.erasures on erasures.receipt_id = cast(:receipt_id as uuid)
        where
            runs.flow = 'reengage'
            and runs.state = 'running'
            and runs.started_at between erasures.requested_at - interval '1 day'
            and coalesce(erasures.cleared_at, clock_timestamp())
    ) as runs
