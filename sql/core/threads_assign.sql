/*
Which conversation each message of the touched people belongs to, computed from all their messages, so that it does not
hang on the order in which they came.

A message written from an ad or a post opens a conversation, whose id is its own. Any other message of the person
belongs to the one opened last with the same number of ours; it opens one without an ad where there is none, or where
the person has been silent for so long that the inquiry is over. Our own messages never open one, and what is said in
groups belongs to nobody.

owner: engineering
grain: one row per message, into the temporary table threaded
params:
  silence_days: int = 30 - days without a word of the person after which a conversation is over
*/
insert into threaded (message_id, conversation_id, customer_id, account, ad_id, sent_at)
with spoken as (
    select
        messages.message_id,
        messages.account,
        messages.ad_id,
        messages.sent_at,
        writers.customer_id,
        messages.referral is not null as is_referral,
        messages.direction = 'inbound'
        and messages.sender = 'customer'
        and coalesce(messages.kind, '') not in ('edit', 'revoke', 'system') as is_said
    from touched_people
    inner join core.writers on touched_people.customer_id = writers.customer_id
    inner join core.messages on writers.writer_id = messages.writer_id
    where messages.group_id is null
),

after_silence as (
    select
        spoken.*,
        max(sent_at) filter (where is_said) over earlier as last_said_at
    from spoken
    window
        earlier as (
            partition by customer_id, account
            -- whole seconds: what opens comes before what follows from it
            order by sent_at, is_referral desc, is_said desc, message_id
            rows between unbounded preceding and 1 preceding
        )
),

opening as (
    select
        after_silence.*,
        is_said and (
            is_referral
            or last_said_at is null
            or sent_at > last_said_at + make_interval(days => cast(:silence_days as int))
        ) as opens
    from after_silence
),

numbered as (
    select
        opening.*,
        count(*) filter (where opens) over (
            partition by customer_id, account
            order by sent_at, is_referral desc, is_said desc, message_id
            rows between unbounded preceding and current row
        ) as number
    from opening
)

select
    message_id,
    max(message_id) filter (where opens) over (partition by customer_id, account, number) as conversation_id,
    customer_id,
    account,
    ad_id,
    sent_at
from numbered
