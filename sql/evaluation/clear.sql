/*
Empty the measured tables; readers keep seeing the old rows until the transaction that fills them again commits (K11).

owner: engineering
grain: no rows
*/
with
a as (delete from evaluation.attributed_cells),
b as (delete from evaluation.attributed),
c as (delete from evaluation.attributed_cells_by_place),
d as (delete from evaluation.attributed_by_place),
e as (delete from evaluation.reached_people),
f as (delete from evaluation.converted_people),
g as (delete from evaluation.incremental_cells),
h as (delete from evaluation.incremental),
i as (delete from evaluation.incremental_cells_by_place),
j as (delete from evaluation.incremental_by_place),
k as (delete from evaluation.people),
l as (delete from evaluation.sends),
m as (delete from evaluation.reports),
n as (delete from evaluation.leads),
o as (delete from evaluation.retargeted_leads),
p as (delete from evaluation.retargets_by_hour),
q as (delete from evaluation.send_costs),
r as (delete from evaluation.qualified_leads),
s as (delete from evaluation.buying_months),
t as (delete from evaluation.buying_gaps),
u as (delete from evaluation.bought_again),
v as (delete from evaluation.places),
w as (delete from evaluation.all_people)

delete from evaluation.data_as_of
