"""What runs came to, for readers elsewhere: pages, tables, folders of other tools."""
