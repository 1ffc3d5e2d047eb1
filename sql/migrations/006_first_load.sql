-- The two commonest spellings of an instant in UTC are told by the server's own: a text that is what its instant is
-- written as has nothing in it that a pattern would refuse. Half the price of looking at every character. A text may
-- look like one and be none ('2026-02-30 10:00:00+00'); reading it is an error then, and the gate reads the load again
-- with `careful`. A session of another time zone or date style recognises fewer texts, and the patterns read the rest.

-- The text as the server would write it, when it is an instant in UTC at all.
create function raw.utc_spelling(value text) returns text
language sql immutable parallel safe
return case
    when value like '____-__-__ __:__:__%+00' then value
    when value like '____-__-__T__:__:__%Z' then replace(replace(value, 'T', ' '), 'Z', '+00')
end;

-- What the text seems to be; years as in raw.instant.
create function raw.seeming_instant(value text, careful boolean) returns timestamptz
language sql stable parallel safe
return case
    when not careful and value collate "C" >= '1' and value collate "C" < '3'
        then cast(raw.utc_spelling(value) as timestamptz)
end;

create function raw.sure_instant(seeming timestamptz, value text, zone text, careful boolean) returns timestamptz
language sql stable parallel safe
return case
    when cast(seeming as text) = raw.utc_spelling(value) then seeming
    else raw.instant(value, zone, careful)
end;
