/*
Windows to choose from: the dataset of a filter on window_hours, which acts within the other datasets.
*/
select given.window_hours
from (values (1), (24), (48), (72), (168), (336), (720)) as given (window_hours)
cross join evaluation.data_as_of
where given.window_hours <= data_as_of.max_window_hours
order by given.window_hours
