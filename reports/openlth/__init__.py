"""Results folders of OpenLTH: what lies in them, and how it becomes runs here."""
