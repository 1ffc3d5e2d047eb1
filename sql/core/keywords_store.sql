/*
Write to the judged messages the keyword groups that were found in their texts.

owner: engineering
grain: updates the messages that have one
*/
update checked
set keywords = found_keywords.keywords
from found_keywords
where checked.line_no = found_keywords.line_no
