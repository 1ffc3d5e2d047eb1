/*
What the outbox platform notes of every call it takes.

owner: engineering
params:
  platform: text - the platform it stands for
  audience: text - the audience
  verb: text - add or remove
  people: int - how many
*/
insert into outbox.audience_calls (platform, audience, verb, people)
values (cast(:platform as text), cast(:audience as text), cast(:verb as text), cast(:people as int))
