/*
What the outbox platform does when it is told to remove people.

owner: engineering
params:
  platform: text - the platform it stands for
  audience: text - the audience
  identities: text[] - hashed identities
*/
delete from outbox.audience_members
where
    platform = cast(:platform as text)
    and audience = cast(:audience as text)
    and person_sha256 = any(cast(:identities as text[]))
