/*
Which file of legal windows the database has.

owner: engineering
grain: one row, or none
returns:
  sha256: text - hash of the file
*/
select sha256
from campaign.legal_source
