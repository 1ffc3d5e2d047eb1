/*
Keys that come more than once in a load, as numbers: texts would take twice as long to tell apart.

Two keys may share a number by chance, so keys are compared again where they are judged (core/gate_repeats).

owner: engineering
grain: one row per number
returns:
  hash: bigint unique - a number that more than one line has
*/
select hashtextextended(key, 0) as hash
from checked
where verdict = 'accepted' and head
group by hashtextextended(key, 0)
having count(*) > 1
