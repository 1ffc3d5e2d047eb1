/*
Store the page views of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per page view
params:
  load_id: bigint - the load
*/
insert into core.visits (
    visit_id,
    session_id,
    visitor_id,
    customer_id,
    page_url,
    previous_url,
    referrer,
    keyword,
    source_type,
    city,
    country,
    language,
    device,
    window_width,
    window_height,
    visit_number,
    custom,
    viewed_at,
    left_at,
    load_id
)
select
    visit_id,
    session_id,
    visitor_id,
    customer_id,
    page_url,
    previous_url,
    referrer,
    keyword,
    source_type,
    city,
    country,
    language,
    device,
    window_width,
    window_height,
    visit_number,
    custom,
    viewed_at,
    left_at,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by visit_id
on conflict (visit_id) do update
set
    session_id = excluded.session_id,
    visitor_id = excluded.visitor_id,
    customer_id = excluded.customer_id,
    page_url = excluded.page_url,
    previous_url = excluded.previous_url,
    referrer = excluded.referrer,
    keyword = excluded.keyword,
    source_type = excluded.source_type,
    city = excluded.city,
    country = excluded.country,
    language = excluded.language,
    device = excluded.device,
    window_width = excluded.window_width,
    window_height = excluded.window_height,
    visit_number = excluded.visit_number,
    custom = excluded.custom,
    viewed_at = excluded.viewed_at,
    left_at = excluded.left_at,
    load_id = excluded.load_id
