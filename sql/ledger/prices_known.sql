/*
Which table of WhatsApp's prices the database has.

owner: engineering
grain: one row, or none
returns:
  sha256: text - hash of the file and of what bears on it
*/
select sha256
from campaign.whatsapp_source
