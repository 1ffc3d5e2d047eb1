/*
Put the table of WhatsApp's prices in place of the one before, and what conversations call the number that messages
leave from.

owner: engineering
grain: one row
params:
  prices: jsonb - place, category, valid_from, nearness, currency, price, is_example
  free: jsonb - category, until
  undelivered: jsonb - country, category, since
  webhook_accounts: text[] nullable - what conversations made of webhooks call our number; null: not known
  file_accounts: text[] nullable - what those of files call it; null: not known
  sha256: text - hash of the file and of what bears on it
returns:
  sha256: text - the same
*/
with

prices as materialized (
    select given.*
    from jsonb_to_recordset(cast(:prices as jsonb)) as given (
        place text, category text, valid_from date, nearness int, currency text, price numeric, is_example boolean
    )
),

free as materialized (
    select given.*
    from jsonb_to_recordset(cast(:free as jsonb)) as given (category text, until timestamptz)
),

undelivered as materialized (
    select given.*
    from jsonb_to_recordset(cast(:undelivered as jsonb)) as given (country text, category text, since timestamptz)
),

prices_gone as (
    delete from campaign.whatsapp_prices as known
    where not exists (
        select from prices
        where
            (prices.place, prices.category, prices.valid_from, prices.nearness)
            = (known.place, known.category, known.valid_from, known.nearness)
    )
),

prices_stored as (
    insert into campaign.whatsapp_prices (place, category, valid_from, nearness, currency, price, is_example)
    select place, category, valid_from, nearness, currency, price, is_example
    from prices
    on conflict (place, category, valid_from, nearness) do update
    set currency = excluded.currency, price = excluded.price, is_example = excluded.is_example
),

free_gone as (
    delete from campaign.whatsapp_free as known
    where not exists (select from free where free.category = known.category)
),

free_stored as (
    insert into campaign.whatsapp_free (category, until)
    select category, until
    from free
    on conflict (category) do update
    set until = excluded.until
),

undelivered_gone as (
    delete from campaign.whatsapp_undelivered as known
    where not exists (
        select from undelivered
        where undelivered.country = known.country and undelivered.category = known.category
    )
),

undelivered_stored as (
    insert into campaign.whatsapp_undelivered (country, category, since)
    select country, category, since
    from undelivered
    on conflict (country, category) do update
    set since = excluded.since
)

insert into campaign.whatsapp_source (sha256, webhook_accounts, file_accounts)
values (cast(:sha256 as text), cast(:webhook_accounts as text[]), cast(:file_accounts as text[]))
on conflict (one) do update
set
    sha256 = excluded.sha256,
    webhook_accounts = excluded.webhook_accounts,
    file_accounts = excluded.file_accounts,
    loaded_at = clock_timestamp()
returning sha256
