/*
The other lines of an order share the verdict of its first line.

owner: engineering
grain: updates the lines that are not first
*/
update checked as line
set verdict = first_line.verdict, reason = first_line.reason
from checked as first_line
where
    line.key = first_line.key
    and not line.head
    and first_line.head
    and line.verdict <> first_line.verdict
