-- People who asked to be forgotten: what was done about it, what the evaluation keeps of them, and which columns are
-- sensitive.

-- A receipt names nobody. While work is left, `person` holds what is needed to find the rest, and is gone with the
-- completion: from then on only keyed hashes say who it was.
create table campaign.erasures (
    receipt_id uuid primary key default gen_random_uuid(),
    customer_hashes text[] not null,              -- keyed hash of every id the person had
    requested_at timestamptz not null default clock_timestamp(),
    cleared_at timestamptz,                       -- nothing but memberships of ad audiences names them any more
    completed_at timestamptz,
    counts jsonb not null default '{}',           -- rows per table
    person jsonb,
    pseudonym text,
    check ((completed_at is null) = (person is not null)),
    check ((completed_at is null) = (pseudonym is not null))
);
create index erasures_open on campaign.erasures (requested_at) where completed_at is null;

-- What figures that were measured before are made of. The name is random and nothing leads from it to anybody; people
-- and purchases that no enrolment needs are not here.
create table campaign.erased_people (
    customer_id text primary key,                 -- the random name
    language text,
    country text
);
create table campaign.erased_purchases (
    order_id text primary key,                    -- the random name and a number
    customer_id text not null,
    purchased_at timestamptz not null,
    amount numeric(14, 2) not null,
    currency text not null,
    coupon_code text                              -- only a code that a campaign's goal names
);
create index on campaign.erased_purchases (customer_id, purchased_at);
create table campaign.erased_events (
    event_id text primary key,
    customer_id text not null,
    name text not null,
    occurred_at timestamptz not null,
    properties jsonb not null                     -- only what a campaign's goal asks for
);
create index on campaign.erased_events (customer_id, name, occurred_at);

-- What the evaluation reads.
create view campaign.measured_customers as
select customer_id, language, country from core.customers
union all
select customer_id, language, country from campaign.erased_people;

create view campaign.measured_purchases as
select order_id, customer_id, purchased_at, amount, currency, status, cancelled_by, coupon_code
from core.purchases
union all
select order_id, customer_id, purchased_at, amount, currency, 'paid', null, coupon_code
from campaign.erased_purchases;

create view campaign.measured_events as
select event_id, customer_id, name, occurred_at, properties from core.events
union all
select event_id, customer_id, name, occurred_at, properties from campaign.erased_events;

-- A send key is made of the customer's id, so it is replaced too.
alter table campaign.attempts
    drop constraint attempts_send_key_fkey,
    add constraint attempts_send_key_fkey foreign key (send_key) references campaign.sends on update cascade;
alter table campaign.voucher_events
    drop constraint voucher_events_send_key_fkey,
    add constraint voucher_events_send_key_fkey foreign key (send_key) references campaign.sends on update cascade;
alter table campaign.message_reports
    drop constraint message_reports_send_key_fkey,
    add constraint message_reports_send_key_fkey
    foreign key (send_key) references campaign.sends on update cascade on delete cascade;

-- Rows of erased people are for the evaluation and for no segment.
create or replace view facts.message_reports as
select
    sends.customer_id,
    sends.campaign,
    sends.step,
    sends.variant,
    sends.channel,
    sends.accepted_at,
    reports.delivered_at,
    reports.opened_at,
    reports.machine_opened_at,
    reports.clicked_at,
    least(reports.bounced_at, reports.failed_at) as failed_at,
    reports.complained_at,
    reports.unsubscribed_at,
    reports.replied_at,
    case
        when reports.complained_at is not null then 'complained'
        when reports.unsubscribed_at is not null then 'unsubscribed'
        when reports.replied_at is not null then 'replied'
        when reports.clicked_at is not null then 'clicked'
        when reports.opened_at is not null then 'opened'
        when coalesce(reports.bounced_at, reports.failed_at) is not null then 'failed'
        when coalesce(reports.delivered_at, reports.machine_opened_at) is not null then 'delivered'
        else 'accepted'
    end as status
from campaign.sends
left join campaign.message_reports as reports on reports.send_key = sends.send_key
where sends.accepted_at is not null and not starts_with(sends.customer_id, 'erased:');

-- Sensitive: who somebody is, how to reach them, or what they wrote. No view of `facts` or `evaluation` may depend on
-- such a column, and a test asks the catalog whether one does.
do $$
declare
    marked record;
begin
    for marked in
        select *
        from (values
            ('core.customers', '{email,email_canonical,phone,phone_e164}', 'address'),
            ('core.customers', '{first_name,last_name}', 'name'),
            ('core.guests', '{email_canonical}', 'address'),
            ('core.checkouts', '{email}', 'address'),
            ('core.checkouts', '{first_name,last_name}', 'name'),
            ('core.messages', '{text}', 'free text'),
            ('core.consents', '{source,wording}', 'free text'),
            ('core.push_tokens', '{endpoint}', 'token'),
            ('raw.quarantine', '{raw,fields}', 'source line'),
            ('raw.parked', '{customer_id,raw,fields}', 'source line'),
            ('campaign.enrolments', '{evidence}', 'free text'),
            ('campaign.decisions', '{gates}', 'free text'),
            ('campaign.attempts', '{address_hmac,provider_message_id}', 'address'),
            ('campaign.sends', '{provider_message_id}', 'address'),
            ('campaign.provider_events', '{address_hmac,provider_message_id}', 'address'),
            ('campaign.replies', '{address_hmac,text}', 'free text'),
            ('campaign.audience_members', '{contact_sha256,applied_contact_sha256,identity}', 'address'),
            ('campaign.inbox_messages', '{title,text,link}', 'message'),
            ('campaign.erasures', '{person,pseudonym}', 'person'),
            ('outbox.messages', '{address,content}', 'message'),
            ('outbox.audience_members', '{person_sha256}', 'address')
        ) as listed (relation, columns, kind)
        cross join lateral unnest(cast(listed.columns as text[])) as named (column_name)
    loop
        execute format(
            'comment on column %s.%I is %L', marked.relation, marked.column_name, 'sensitive: ' || marked.kind
        );
    end loop;
end
$$;
