"""No table any more: by which identity number somebody is known is the core's to keep (`PeopleDesk.by_documents`).

The migrations stay, so that a store from before lets go of what stood here.
"""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData(info={"head": "0002"})
