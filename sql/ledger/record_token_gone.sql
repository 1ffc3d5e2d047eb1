/*
Switch off the push token a provider called invalid: the app is gone there. A newer row of the token switches it on
again, and whoever registers the same device later is another row (C21, P15).

owner: engineering
params:
  tokens: jsonb - send_key, channel and address_hmac of each
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
*/
update core.push_tokens
set active = false
from jsonb_to_recordset(cast(:tokens as jsonb)) as gone (send_key text, channel text, address_hmac text)
inner join campaign.sends on sends.send_key = gone.send_key
cross join lateral campaign.person(sends.customer_id) as person
where
    push_tokens.customer_id = any(person.ids)
    and push_tokens.active
    and (push_tokens.platform = 'webpush') = (gone.channel = 'webpush')
    and campaign.keyed_hash(
        cast(:inner_pad as bytea), cast(:outer_pad as bytea), push_tokens.endpoint
    ) = gone.address_hmac
