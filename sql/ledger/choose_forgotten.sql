/*
Leave out people whose occasion began before what the ledger remembers: it may have been enrolled, written about and
deleted since, and nobody is written to twice for one occasion.

An occasion begins with its anchor; that of a conversation, whose anchor moves with every message, with its opening.

owner: engineering
grain: one row
params:
  has_conversations: boolean - whether episodes are conversations
returns:
  people: bigint - how many are left out
*/
with forgotten as (
    delete from chosen
    where
        -- asked once: where nothing was ever deleted nobody is looked at
        (select database.remembers_since from campaign.database) is not null
        and least(
            chosen.anchor_at,
            case
                when cast(:has_conversations as boolean) then (
                    select conversations.opened_at
                    from core.conversations
                    where conversations.conversation_id = chosen.episode
                )
            end
        ) < (select database.remembers_since from campaign.database)
        and not exists (
            select from chosen_known
            where chosen_known.person_id = chosen.person_id and chosen_known.episode = chosen.episode
        )
    returning chosen.person_id
)

select count(distinct person_id) as people
from forgotten
