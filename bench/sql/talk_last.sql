/*
Who fell silent for half an hour between two moments and has not qualified: one window over every message, and no more
of what `partial_leads` answers than that.

owner: engineering
grain: one row per conversation
params:
  as_of: timestamptz - the moment asked about
  since: timestamptz - only who fell silent after it
*/
select
    said.conversation_id,
    said.sent_at
from (
    select
        conversation_id,
        sent_at,
        row_number() over (partition by conversation_id order by sent_at desc) as place
    from core.messages
    where sender = 'customer' and sent_at <= cast(:as_of as timestamptz)
) as said
where
    said.place = 1
    and said.sent_at <= cast(:as_of as timestamptz) - interval '30 minutes'
    and said.sent_at > cast(:since as timestamptz) - interval '30 minutes'
    and not exists (
        select from core.milestones
        where milestones.conversation_id = said.conversation_id and milestones.milestone = 'qualified'
    )
