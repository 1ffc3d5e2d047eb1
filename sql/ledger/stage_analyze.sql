/*
Tell the planner how many people were staged, or it guesses.

owner: engineering
*/
analyze pg_temp.segment_rows
